import * as assert from 'node:assert';
import * as vscode from 'vscode';
import { fimble, until } from './editor';

/** Tells a version and dies whenever it is asked for more. */
const MORTAL = ['/bin/sh', '-c', 'test "$1" = --version && echo fimble 9.9.8', 'sh'];
/** A wheel that the Python side of this test has made; its server is the real one. */
const WHEEL = process.env['FIMBLE_HOST_TEST_WHEEL'] ?? '';

async function set(name: string, value: unknown): Promise<void> {
  await vscode.workspace.getConfiguration('fimble').update(name, value, vscode.ConfigurationTarget.Global);
}

export function defineServers(): void {
  describe('the server', () => {
    const before = vscode.workspace.getConfiguration('fimble').get<string[]>('server.command');

    afterEach(async () => {
      await set('server.command', before);
      const api = await fimble();
      await until('the real one is back', () => api.state === 'ready' && api.serverVersion !== '9.9.8');
    });

    it('has every command that the manifest names', async () => {
      await fimble();
      const extension = vscode.extensions.getExtension('fimble.fimble');
      const { contributes } = extension?.packageJSON as { contributes: { commands: { command: string }[] } };
      const known = new Set(await vscode.commands.getCommands());
      assert.deepStrictEqual(contributes.commands.filter(({ command }) => !known.has(command)), []);
    });

    it('is missing if the command of the setting is not there, and nothing else is started', async () => {
      const api = await fimble();
      await set('server.command', ['/no/such/fimble']);
      await until('it says so', () => api.state === 'missing');
    });

    it('is started again if it dies, more and more rarely, and the status bar says what is wrong', async () => {
      const api = await fimble();
      await set('server.command', MORTAL);
      await until('it starts', () => api.state === 'starting' && api.serverVersion === '9.9.8');
      await until('it is given up for now', () => api.state === 'error');
    });

    it('is installed into an environment of its own, without a network where there are wheels', async () => {
      const api = await fimble();
      await set('install.requirement', WHEEL);
      await set('install.wheelFolder', vscode.Uri.joinPath(vscode.Uri.file(WHEEL), '..').fsPath);
      await set('server.command', '');
      await vscode.commands.executeCommand('fimble.installServer');
      await until('it is ready', () => api.state === 'ready');
      assert.strictEqual(api.serverVersion, '9.9.9');
    });
  });
}
