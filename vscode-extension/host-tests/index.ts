// Runs inside VS Code's own extension host, which calls `run`. Mocha's report goes to a file.
import Mocha from 'mocha';
import * as vscode from 'vscode';
import { sleep, until } from './editor';
import { defineTests } from './suites';

export async function run(): Promise<void> {
  await until('the folders are there', haveFolders);
  const failures = await runTests();
  await showNotifications();
  if (failures > 0) {
    throw new Error(`${failures} failed`);
  }
}

/**
 * Whether VS Code has read the file that names the folders.
 *
 * Once in a while it misses the file while a window opens and shows a workspace without folders; it reads
 * the file when it changes.
 */
async function haveFolders(): Promise<boolean> {
  const { workspaceFile: file, workspaceFolders: folders } = vscode.workspace;
  if (folders?.length !== 2 && file !== undefined) {
    await vscode.workspace.fs.writeFile(file, await vscode.workspace.fs.readFile(file));
    await sleep(500);
  }
  return vscode.workspace.workspaceFolders?.length === 2;
}

function runTests(): Promise<number> {
  const mocha = new Mocha({
    ui: 'bdd',
    timeout: 40_000,
    reporter: 'json',
    reporterOptions: { output: process.env['FIMBLE_HOST_TEST_REPORT'] },
  });
  // No files: the tests are in this bundle, and mocha wants its globals set up first.
  mocha.suite.emit('pre-require', globalThis, '', mocha);
  defineTests(vscode.workspace.name ?? '');
  return new Promise((resolve) => mocha.run(resolve));
}

/** In a test run nothing pops up, so whoever looks at the page finds all notifications in the list. */
async function showNotifications(): Promise<void> {
  await vscode.commands.executeCommand('notifications.showList');
  await sleep(1000);
}
