/**
 * Words by what they do in an instruction, in the languages that we know attacks in. A star ends a
 * stem. Words are lower case without accents, as `normalise` returns them.
 */
const CLASSES = {
  /** Verbs that set something aside. */
  override:
    'ignor* ignoar* disregard* forget* forgot overlook* bypass* overrid* overrul* discard* abandon* neglect* supersed* dismiss* circumvent* drop vergiss* vergess* missacht* ubergeh* uberschreib* umgeh* oubli* neglig* olvid* omit* descart* dimentic* trascur* esquec* desconsider* negeer* vergeet* zignoruj* zapomnij* pomin zaboravi* zanemari* забуд* игнорир* проигнорир* отмен* unut* yoksay gormezden ξεχα* ξεχν* αγνο* abaikan lupakan अनदेखी नजरअंदाज भूल 忽略 无视 忘记 忘掉 無視 忘れ 무시 잊어 잊고 تجاهل انس',
  /** Words that point at what came before. */
  prior:
    'previous* prior above preceding earlier before past foregoing initial* original* existing aforementioned beforehand vorherig* bisherig* vorangegang* vorangehend* obig* zuvor vorher vorige* fruher* davor precedent* precedemment anterieur* avant anterior* anteriormente previ* arriba antes sopra prima acima eerder* bovenstaand* poprzedni* powyzsz* wczesniej* prethodn* ranij* предыдущ* прежн* выше ранее до onceki yukaridaki προηγουμ* sebelumnya पिछले पहले 之前 以上 上述 先前 前面 以前 上記 이전 위의 앞의 السابقة السابق',
  all: 'all every everything any anything alle alles allen samtlich* jede* tout toute* tous todo* toda* tutt* tudo wszystk* alles sve svi все всё все* tum hepsi ολες ολα semua सभी सब 所有 全部 一切 すべて 全て 모든 전부 كل جميع',
  /** What an instruction is called. */
  instruction:
    'instruction* instruct* instrucc* instruco* istruzion* instrukt* instrukc* instruksi anweisung* direction* directive* directiv* order orders command* rule* guideline* restriction* constraint* programming regel* befehl* vorgabe* angabe* richtlinie* vorschrift* consigne* regle* ordre* ordenes reglas indicacion* directrices regole ordini regras ordens polecen* zasad* uputstv* upute инструкц* указан* правил* команд* talimat* kural* οδηγ* κανον* निर्देश* नियम* 指令 指示 说明 規則 规则 命令 지시 명령 지침 규칙 تعليمات أوامر',
  task: 'task* assignment* mission job question* aufgabe* auftrag* auftrage* aufforderung* frage* tache* mission* tarea* pregunta* compit* tarefa* zadani* zadatak* задач* задан* gorev* 任务 タスク 작업',
  prompt:
    'prompt* systemprompt preprompt eingabeaufforderung* 提示 提示词 プロンプト 프롬프트 промпт*',
  context:
    'context* document* article* artikel* text texts texte* message* conversation* input sentence* words said told wrote written gesagt* geschrieben* dokument* kontext* information* contexto* documento* dicho dije diho dit conversacion* conversa* rekao webpage page function email resume',
  system: 'system* systeme sistema* систем* 系统 システム 시스템 configuration settings setup',
  hidden:
    'hidden secret* internal confidential private concealed geheim* versteckt* secreto* cache* segret* скрыт* секрет* 秘密 隐藏 비밀',
  /** Verbs that ask for output. */
  reveal:
    'reveal* show* print* display* repeat* output* disclose* leak* dump* expose* recite* echo* return* spellcheck* paraphras* transcrib* zeig* nenn* druck* ausgeb* wiederhol* verrat* muestra* mostrar revela* repit* repet* montre* affiche* mostra* rivela* pokaz* prikazi покаж* вывед* повтор* раскр* goster* δειξ* दिखा* 显示 输出 告诉 重复 表示 見せ 教え 보여 알려 출력 اعرض',
  say: 'say saying state tell write give answer* respond* reply replies sag* schreib* antwort* gib di diga decir digas dime dis dites ecris scrivi rispondi responda escreva napisz kazi reci скажи напиши ответ* soyle yaz 说 写 回答 言って 말해 써',
  encode:
    'encode* decode* base64 rot13 hex translate* translat* reverse* backwards emoji morse cipher caesar opposite ubersetz* traduc* tradui*',
  you: 'you your yours yourself u ur du dein* dich dir euch eure* tu tus tes toi ton vous votre vos ti tuo tuoi tua seu seus sua te ты твои твои твоя твою тебя вы ваш* sen senin σου आप आपके तुम 你 您 あなた お前 너 너의 당신 أنت',
  i: 'i me my mine ich mir mein* mich je moi mon mes yo mi mis io eu meu ja mene я мне мои 我 私 나 내',
  negation:
    'not no never dont without cannot cant wont isnt arent nicht kein* niemals ohne ne pas jamais sans nunca jamas sin non mai senza nao jamais nie nemoj bez не никогда без asla 不 别 不要 ない 말고 않',
  now: 'now henceforth onwards onward today jetzt nun sofort ab maintenant desormais ahora adesso ora agora teraz sada сеичас теперь simdi 现在 今 지금',
  fresh:
    'new next following further other instead neue* neuen weitere* folgend* nachste* stattdessen sondern nuev* siguiente* nouve* suivant* nuov* nov* nowe* nowy* нов* следующ* yeni 新 次 새로운',
  praise:
    'great excellent congratulations superb* fantastic* wonderful awesome perfect bravo well sehr gut super toll ausgezeichnet* hervorragend* fantastisch* wow yo okay gemacht done passed performance leistung',
  focus: 'focus* concentrat* konzentrier* concentre* centrate',
  act: 'act acting pretend* roleplay* role roles simulat* imagine impersonat* immers* embody persona personalit* character* behave become becom* play playing portray* assume fictional hypothetical* spiel* rolle* verkorper* tue comport* actua actuar finge* fais',
  actor: 'actor* actors schauspieler* film movie scene szene story dialog* dialogue',
  model:
    'chatgpt gpt gpt3 gpt4 gpt5 openai openal chatbot* ai bot llm assistant claude bard gemini copilot llama ki ia modelo ии 人工智能',
  language: 'language sprachmodell',
  freed:
    'unfiltered uncensored unrestricted unlimited unbiased amoral unethical immoral nonmoral illegal* unlawful freed free freedom jailbr* jailbroken dan evil villain* demon devil machiavellian unlocked limitless lawless badass harmful dangerous malicious wicked hateful offensive inappropriate explicit profanity vulgar obscene swear swears swearword* curse',
  limits:
    'limit limits limitation* confines confine* restriction* censor* filter* ethic* moral* legality legal* law laws policy policies guideline* safety safeguard* disclaimer* warning* regulation* boundar* norms',
  refuse:
    'refuse* refusing refusal decline* declin* reject* deny comply complies apolog* sorry cannot unable hesitat* withhold* warn warned obey* obedien* submissive gehorch* obedec*',
  always:
    'always forever every jederzeit immer toujours siempre sempre всегда must should shall gotta',
  mode: 'mode modes modus modo override maintenance debug debugging developer admin administrator sudo root god dev unlocked enabled activated authorized authorised privileged',
  secret:
    'password* passwort* passcode* pin key keys credential* token* secret* contrasena* passe balance salary passphrase kennwort* пароль* 密码 パスワード 비밀번호 sifre parola',
  violence:
    'bomb* explosive* hotwire* hack* malware* virus ransomware weapon* drug* meth murder* kill* rob robbery break burglar* break-in steal* racist* hitler nazi poison* cocaine heroin suicide',
  transfer:
    'send email* forward* post upload* exfiltrat* transmit* fetch curl visit click link url webhook attach*',
  user: 'user users human assistant benutzer usuario utilisateur',
} as const;

export type WordClass = keyof typeof CLASSES;

export const WORD_CLASSES = Object.keys(CLASSES) as readonly WordClass[];

const exact = new Map<string, number[]>();
const stems = new Map<string, number[]>();
const unspaced: string[] = [];
/** Scripts that write words without blanks between them, and those that attach endings to words. */
const UNSPACED = /[\u3040-\u30FF\u3400-\u9FFF\uAC00-\uD7AF\u0600-\u06FF]/;

for (const [index, name] of WORD_CLASSES.entries()) {
  for (const word of CLASSES[name].split(' ')) {
    if (UNSPACED.test(word)) unspaced.push(word);
    const [table, key] = word.endsWith('*') ? [stems, word.slice(0, -1)] : [exact, word];
    const known = table.get(key);
    if (known === undefined) table.set(key, [index]);
    else if (!known.includes(index)) known.push(index);
  }
}

/** Matches the words of languages that do not separate them, the longest first. */
export const UNSPACED_WORDS = new RegExp(
  unspaced.toSorted((a, b) => b.length - a.length).join('|'),
  'gu',
);

const MIN_STEM_CHARS = 3;
const MAX_STEM_CHARS = 14;
const NO_CLASSES: readonly number[] = [];

/** The indices in WORD_CLASSES of the classes that a word belongs to. */
export function classesOf(word: string): readonly number[] {
  const found = exact.get(word);
  let all = found;
  for (let length = Math.min(word.length, MAX_STEM_CHARS); length >= MIN_STEM_CHARS; length -= 1) {
    const byStem = stems.get(word.slice(0, length));
    if (byStem !== undefined) all = all === undefined ? byStem : [...new Set([...all, ...byStem])];
  }
  return all ?? NO_CLASSES;
}
