/** Where the value of a setting came from. */
export type SettingSource = 'default' | 'agent.toml' | 'environment' | 'Key Vault' | 'unset';
