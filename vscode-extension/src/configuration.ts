// The extension's own settings, typed, and the server's as VS Code holds them.
import * as vscode from 'vscode';
import { writtenSettings, type SentSettings } from './settings';
import { SERVER_SETTINGS } from './settings.generated';

export const SECTION = 'fimble';

export interface InstallSettings {
  readonly python: string;
  readonly requirement: string;
  readonly wheelFolder: string;
  readonly arguments: readonly string[];
}

export function readServerSettings(): SentSettings {
  const section = vscode.workspace.getConfiguration(SECTION);
  return writtenSettings(SERVER_SETTINGS, (key) => section.inspect(key));
}

/** Returns the words of `fimble.server.command`; none if it is empty. */
export function serverCommandSetting(): string[] {
  const value: unknown = get<unknown>('server.command', '');
  return texts(Array.isArray(value) ? value : [value]).map((word) => word.trim()).filter((word) => word !== '');
}

export function wantsStandalone(): boolean {
  // There is no background process on Windows.
  return process.platform === 'win32' || get('server.standalone', false);
}

export function installSettings(): InstallSettings {
  return {
    python: text('install.python'),
    requirement: text('install.requirement'),
    wheelFolder: text('install.wheelFolder'),
    arguments: texts(get<unknown>('install.arguments', [])),
  };
}

export type SaverChoice = 'auto' | 'on' | 'off';

export function saverChoice(): SaverChoice {
  return get<SaverChoice>('batterySaver', 'auto');
}

export function isCompletionEnabled(): boolean {
  return get('completion.enabled', true);
}

export function disabledLanguages(): string[] {
  return texts(get<unknown>('completion.disabled_languages', []));
}

/** Writes a setting where it counts: in the workspace if it was set there, else for the user. */
export async function write(key: string, value: unknown): Promise<void> {
  const section = vscode.workspace.getConfiguration(SECTION);
  const isOfWorkspace = section.inspect(key)?.workspaceValue !== undefined;
  const target = isOfWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  await section.update(key, value, target);
}

function text(key: string): string {
  return texts([get<unknown>(key, '')])[0]?.trim() ?? '';
}

/** VS Code marks a value of another type, and hands it out all the same. */
function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

function get<T>(key: string, fallback: T): T {
  return vscode.workspace.getConfiguration(SECTION).get<T>(key, fallback);
}
