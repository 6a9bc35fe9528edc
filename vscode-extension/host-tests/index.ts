// Runs inside VS Code's own extension host, which calls `run`. Mocha's report goes to a file.
import Mocha from 'mocha';
import * as vscode from 'vscode';
import { defineTests } from './suites';

export function run(): Promise<void> {
  const mocha = new Mocha({
    ui: 'bdd',
    timeout: 40_000,
    reporter: 'json',
    reporterOptions: { output: process.env['FIMBLE_HOST_TEST_REPORT'] },
  });
  // No files: the tests are in this bundle, and mocha wants its globals set up first.
  mocha.suite.emit('pre-require', globalThis, '', mocha);
  defineTests(vscode.workspace.name ?? '');
  return new Promise((resolve, reject) => {
    mocha.run((failures) => {
      if (failures > 0) {
        reject(new Error(`${failures} failed`));
      } else {
        resolve();
      }
    });
  });
}
