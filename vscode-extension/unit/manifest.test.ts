import { existsSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';

interface Manifest {
  readonly capabilities: { readonly untrustedWorkspaces: { readonly supported: string; readonly restrictedConfigurations: string[] } };
  readonly contributes: {
    readonly commands: { readonly command: string }[];
    readonly keybindings: { readonly command: string }[];
    readonly configuration: { readonly properties: Record<string, { readonly scope: string; readonly default: unknown }> }[];
    readonly walkthroughs: { readonly steps: { readonly description: string; readonly media: { readonly markdown: string } }[] }[];
  };
}

const ROOT = path.join(__dirname, '..');
const { capabilities, contributes } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as Manifest;
const commands = new Set(contributes.commands.map(({ command }) => command));
const settings = contributes.configuration.flatMap(({ properties }) => Object.entries(properties));

describe('the manifest', () => {
  it('lets an untrusted folder set nothing that concerns the machine', () => {
    expect(capabilities.untrustedWorkspaces.supported).toBe('limited');
    const ofMachine = settings.filter(([, { scope }]) => scope !== 'window').map(([name]) => name);
    expect(ofMachine.filter((name) => !capabilities.untrustedWorkspaces.restrictedConfigurations.includes(name))).toEqual([]);
    expect(ofMachine).toContain('fimble.model.cache_dir');
  });

  it('lets no folder name the program that is started', () => {
    const scopes = new Map(settings.map(([name, { scope }]) => [name, scope]));
    for (const name of ['fimble.server.command', 'fimble.install.python', 'fimble.install.requirement', 'fimble.install.arguments']) {
      expect(scopes.get(name), name).toBe('machine');
    }
  });

  it('binds keys and links steps to commands that it has', () => {
    const steps = contributes.walkthroughs.flatMap((walkthrough) => walkthrough.steps);
    const linked = steps.flatMap(({ description }) => [...description.matchAll(/\(command:([\w.]+)\)/g)].map((match) => match[1]));
    const named = [...linked, ...contributes.keybindings.map(({ command }) => command)];
    expect(named.filter((command) => !commands.has(command ?? ''))).toEqual([]);
    expect(steps.filter(({ media }) => !existsSync(path.join(ROOT, media.markdown)))).toEqual([]);
  });

  it('has a default for every setting', () => {
    expect(settings.filter(([, schema]) => schema.default === undefined)).toEqual([]);
  });
});
