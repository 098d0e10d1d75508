/** Addresses that no caller may reach through this service. */
const IPV4 = [
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '0.0.0.0',
  '168.63.129.16',
] as const;

const IPV6 = [
  '::1',
  '::',
  '0:0:0:0:0:0:0:1',
  'fe80::1',
  'fc00::1',
  'fd00:ec2::254',
  'fec0::1',
  'ff02::1',
  '2001:db8::1',
  '2001::1',
  '100::1',
] as const;

/** Names that a hostile resolver gives an internal address. */
const NAMES = [
  'localhost',
  'LOCALHOST',
  'localhost.',
  'localtest.me',
  'metadata.google.internal',
  'metadata',
  '127.0.0.1.nip.io',
  'www.example.com',
  '\u24d4\u24e7\u24d0\u24dc\u24df\u24db\u24d4.com',
] as const;

/** Every way to write the hosts in a URL. */
export function internalHosts(): readonly string[] {
  return [...IPV4.flatMap(spellingsOf), ...IPV6.map((address) => `[${address}]`), ...NAMES];
}

function spellingsOf(address: string): readonly string[] {
  const bytes = address.split('.').map(Number);
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  const number = ((a * 256 + b) * 256 + c) * 256 + d;
  const hex = number.toString(16).padStart(8, '0');
  const [high, low] = [hex.slice(0, 4), hex.slice(4)];
  return [
    address,
    String(number),
    `0x${hex}`,
    `0${number.toString(8)}`,
    bytes.map((byte) => `0x${byte.toString(16)}`).join('.'),
    bytes.map((byte) => `0${byte.toString(8)}`).join('.'),
    `${a}.${b * 65_536 + c * 256 + d}`,
    `${a}.${b}.${c * 256 + d}`,
    `${address}.`,
    address.replaceAll(/./g, (char) => `%${char.charCodeAt(0).toString(16)}`),
    address.replaceAll('.', '\u3002'),
    address.replaceAll(/\d/g, fullWidth),
    `[::ffff:${address}]`,
    `[::ffff:${high}:${low}]`,
    `[::${address}]`,
    `[64:ff9b::${high}:${low}]`,
    `[2002:${high}:${low}::]`,
  ];
}

function fullWidth(digit: string): string {
  return String.fromCharCode(0xff10 + Number(digit));
}
