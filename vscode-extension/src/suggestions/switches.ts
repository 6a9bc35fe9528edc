// On and off: for a language, for everything, and for a while.
import * as vscode from 'vscode';
import { disabledLanguages, isCompletionEnabled, write } from '../configuration';
import { inWords, isOver, pauseFor, type Pause } from './pausing';

const EVERYWHERE = 'everywhere';
/** A timer that is set for longer goes off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Choice extends vscode.QuickPickItem {
  readonly value: string;
}

export class Switches implements vscode.Disposable {
  private pause: Pause | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly changed = new vscode.EventEmitter<undefined>();
  private readonly registered: vscode.Disposable;

  readonly onDidChange = this.changed.event;

  constructor() {
    const { registerCommand } = vscode.commands;
    this.registered = vscode.Disposable.from(
      registerCommand('fimble.enable', (where?: string) => this.enable(where)),
      registerCommand('fimble.disable', (where?: string) => this.disable(where)),
      registerCommand('fimble.pause', (minutes?: number) => this.pauseForWhile(minutes)),
      registerCommand('fimble.resume', () => {
        this.setPause(undefined);
      }),
    );
  }

  isPaused(): boolean {
    return this.pause !== undefined && !isOver(this.pause, Date.now());
  }

  get pausedUntil(): string | undefined {
    return this.pause === undefined || !this.isPaused() ? undefined : inWords(this.pause);
  }

  /** What is switched off and concerns the document in view, for people; undefined if nothing is. */
  get disabled(): string | undefined {
    if (!isCompletionEnabled()) {
      return EVERYWHERE;
    }
    const language = vscode.window.activeTextEditor?.document.languageId;
    return language !== undefined && disabledLanguages().includes(language) ? `for ${language}` : undefined;
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.registered.dispose();
    this.changed.dispose();
  }

  private async enable(where?: string): Promise<void> {
    const languages = [...new Set([...disabledLanguages(), ...currentLanguages()])];
    const chosen = where ?? (await choose('Enable suggestions', languages));
    if (chosen === undefined) {
      return; // thought better of it
    }
    await write('completion.enabled', undefined);
    if (!isCompletionEnabled()) {
      await write('completion.enabled', undefined); // for the user, after the workspace
    }
    if (chosen !== EVERYWHERE) {
      await write('completion.disabled_languages', disabledLanguages().filter((name) => name !== chosen));
    }
    this.setPause(undefined);
  }

  private async disable(where?: string): Promise<void> {
    const chosen = where ?? (await choose('Disable suggestions', currentLanguages()));
    if (chosen === EVERYWHERE) {
      await write('completion.enabled', false);
    } else if (chosen !== undefined) {
      await write('completion.disabled_languages', [...new Set([...disabledLanguages(), chosen])]);
    }
  }

  private async pauseForWhile(minutes?: number): Promise<void> {
    if (minutes !== undefined) {
      this.setPause(pauseFor(minutes, Date.now()));
      return;
    }
    const choices = [
      { label: '10 minutes', minutes: 10 },
      { label: '1 hour', minutes: 60 },
      { label: 'Until I resume, or this window is reloaded', minutes: undefined },
    ];
    const chosen = await vscode.window.showQuickPick(choices, { title: 'Pause suggestions in this window' });
    if (chosen !== undefined) {
      this.setPause(pauseFor(chosen.minutes, Date.now()));
    }
  }

  private setPause(pause: Pause | undefined): void {
    clearTimeout(this.timer);
    this.pause = pause;
    void vscode.commands.executeCommand('setContext', 'fimble.paused', pause !== undefined);
    if (pause !== undefined) {
      void vscode.commands.executeCommand('editor.action.inlineSuggest.hide');
      if (Number.isFinite(pause.until)) {
        this.timer = setTimeout(() => {
          this.setPause(undefined);
        }, Math.min(pause.until - Date.now(), LONGEST_TIMER_MS));
      }
    }
    this.changed.fire(undefined);
  }
}

function currentLanguages(): string[] {
  const language = vscode.window.activeTextEditor?.document.languageId;
  return language === undefined ? [] : [language];
}

async function choose(title: string, languages: readonly string[]): Promise<string | undefined> {
  const choices: Choice[] = [
    ...languages.map((language) => ({ label: `For ${language}`, value: language })),
    { label: 'Everywhere', value: EVERYWHERE },
  ];
  return (await vscode.window.showQuickPick(choices, { title }))?.value;
}
