import * as assert from 'node:assert';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { fimble, setting, sleep, until } from './editor';

/** Tells a version and dies whenever it is asked for more. */
const MORTAL = ['/bin/sh', '-c', 'test "$1" = --version && echo fimble 9.9.8', 'sh'];
/** Tells a version, notes its process in a file and never answers. */
const DEAF = 'test "$2" = --version && echo fimble 9.9.7 && exit; echo $$ > "$1"; exec sleep 1000';
/** A wheel that the Python side of this test has made; its server is the real one. */
const WHEEL = process.env['FIMBLE_HOST_TEST_WHEEL'] ?? '';

export function defineServers(): void {
  describe('the server', () => {
    const before = vscode.workspace.getConfiguration('fimble').get<string[]>('server.command');

    afterEach(async () => {
      await setting('server.command', before);
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
      await setting('server.command', ['/no/such/fimble']);
      await until('it says so', () => api.state === 'missing');
    });

    it('is started again if it dies, more and more rarely, and the status bar says what is wrong', async () => {
      const api = await fimble();
      await setting('server.command', MORTAL);
      await until('it starts', () => api.state === 'starting' && api.serverVersion === '9.9.8');
      await until('it is given up for now', () => api.state === 'error');
    });

    it('is ended if it never answers and another one is wanted, and is not waited for', async () => {
      const api = await fimble();
      const file = path.join(await mkdtemp(path.join(tmpdir(), 'deaf-')), 'pid');
      await setting('server.command', ['/bin/sh', '-c', DEAF, 'sh', file]);
      const pid = Number(await until('it hangs', () => readFile(file, 'utf8').catch(() => '')));
      assert.strictEqual(api.state, 'starting');
      await setting('server.command', before);
      await until('the real one is ready', () => api.state === 'ready');
      await until('the other one is gone', () => !isAlive(pid));
    });

    it('is one alone, and ready, after many restarts at once', async () => {
      const api = await fimble();
      const restarts = [0, 1, 2, 3].map(async (number) => {
        await sleep(number * 40);
        await vscode.commands.executeCommand('fimble.restart');
      });
      await Promise.all(restarts);
      await until('it is ready', () => api.state === 'ready');
    });

    it('is installed into an environment of its own, without a network where there are wheels', async () => {
      const api = await fimble();
      await setting('install.requirement', WHEEL);
      await setting('install.wheelFolder', vscode.Uri.joinPath(vscode.Uri.file(WHEEL), '..').fsPath);
      await setting('server.command', '');
      await installTwiceAtOnce();
      await until('it is ready', () => api.state === 'ready');
      assert.strictEqual(api.serverVersion, '9.9.9');
      const [first, ...others] = await environments();
      assert.deepStrictEqual(others, [], 'two clicks are one installation');
      await vscode.commands.executeCommand('fimble.installServer');
      await until('it is ready again', () => api.state === 'ready');
      const [second, ...left] = await environments();
      assert.deepStrictEqual(left, [], 'the former one is gone');
      assert.notStrictEqual(second, first);
    });

    it('is not installed, and says so, where what is to be installed is not there', async () => {
      const api = await fimble();
      await setting('install.requirement', `${WHEEL}.gone`);
      const there = await environments();
      await vscode.commands.executeCommand('fimble.installServer');
      assert.deepStrictEqual(await environments(), there, 'nothing half made is left');
      await until('the former one goes on', () => api.state === 'ready');
    });

    it('is not installed where there is no Python, but the steps to get one are opened', async () => {
      assert.ok(!tabs().includes('Welcome'));
      await setting('install.python', '/no/such/python');
      try {
        await vscode.commands.executeCommand('fimble.installServer');
        // VS Code shows the steps of every extension in the tab that is called so.
        await until('the steps are in view', () => tabs().includes('Welcome'));
      } finally {
        await setting('install.python', undefined);
        await vscode.commands.executeCommand('workbench.action.closeActiveEditor');
      }
    });
  });
}

function tabs(): string[] {
  return vscode.window.tabGroups.all.flatMap((group) => group.tabs.map((tab) => tab.label));
}

async function installTwiceAtOnce(): Promise<void> {
  const install = (): Thenable<unknown> => vscode.commands.executeCommand('fimble.installServer');
  await Promise.all([install(), install()]);
}

/** Returns the environments that the extension has made. */
async function environments(): Promise<string[]> {
  const api = await fimble();
  return (await readdir(path.dirname(api.ownEnvironment))).filter((name) => name.startsWith('server-'));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
