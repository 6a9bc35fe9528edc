// What of the user's settings goes to the server, and how. Nothing here knows VS Code.
import type { ServerSetting } from './settings.generated';

/** Where a setting was written; the later ones win. VS Code's own defaults are not among them. */
export interface Written {
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
}

export type Inspect = (key: string) => Written | undefined;

export interface Tree {
  [name: string]: unknown;
}

export interface SentSettings {
  /** For `initializationOptions` and `workspace/didChangeConfiguration`. */
  readonly message: Tree;
  /** For the environment of the server's process. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Returns what somebody wrote, and the few defaults that are ours. The rest is left to the server: its
 * defaults, sent from here, would outrank the user's file and the project's.
 */
export function writtenSettings(table: readonly ServerSetting[], inspect: Inspect): SentSettings {
  const message: Tree = {};
  const variables: Record<string, string> = {};
  for (const { key, variable, ownDefault } of table) {
    const written = inspect(key);
    const value = written?.workspaceValue ?? written?.globalValue ?? ownDefault;
    if (value === undefined || value === null) {
      continue;
    }
    if (variable === undefined) {
      put(message, key, value);
    } else {
      variables[variable] = asVariable(value);
    }
  }
  return { message, variables };
}

/** Returns the settings with nothing computed anew in idle time; a user's stricter choice stays. */
export function sparing(message: Tree): Tree {
  const copy = structuredClone(message);
  const engine = (copy['engine'] ?? {}) as Tree;
  if (engine['patching'] === undefined || engine['patching'] === 'heal') {
    put(copy, 'engine.patching', 'identifiers');
  }
  return copy;
}

/** Whether `later` takes back a setting of `earlier`, which a message cannot. */
export function takesBack(earlier: Tree, later: Tree): boolean {
  return leaves(earlier).some((key) => !leaves(later).includes(key));
}

function leaves(tree: Tree): string[] {
  return Object.entries(tree).flatMap(([section, inner]) =>
    Object.keys(inner as Tree).map((name) => `${section}.${name}`),
  );
}

function asVariable(value: unknown): string {
  if (typeof value === 'string') {
    return value;
  }
  return Array.isArray(value) ? value.join(',') : JSON.stringify(value);
}

function put(tree: Tree, key: string, value: unknown): void {
  const [section, name] = key.split('.') as [string, string];
  const inner = (tree[section] ??= {}) as Tree;
  inner[name] = value;
}
