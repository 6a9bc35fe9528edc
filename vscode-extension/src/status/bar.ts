// The item in the status bar, and what it is told.
import * as vscode from 'vscode';
import { describe, type Process, type ServerStatus, type Shown, type Situation, type State } from './state';

/** A request that is answered sooner is not worth a flicker. */
const THINKING_AFTER_MS = 200;

export class StatusBar implements vscode.Disposable {
  private readonly item: vscode.StatusBarItem;
  private readonly changed = new vscode.EventEmitter<State>();
  private situation: Situation = {
    process: { kind: 'starting' },
    server: undefined,
    complaint: '',
    isThinking: false,
    pausedUntil: undefined,
    disabled: undefined,
    isSparing: false,
  };
  private shown: Shown = describe(this.situation);
  private timer: NodeJS.Timeout | undefined;

  readonly onDidChange = this.changed.event;

  constructor() {
    this.item = vscode.window.createStatusBarItem('fimble.status', vscode.StatusBarAlignment.Right, 100);
    this.item.name = 'fimble';
    this.draw();
    this.item.show();
  }

  get state(): State {
    return this.shown.state;
  }

  get text(): string {
    return this.shown.text;
  }

  setProcess(process: Process): void {
    // Another process knows nothing of what the former one said.
    this.update(process.kind === 'running' ? { process } : { process, server: undefined, complaint: '' });
  }

  setServer(server: ServerStatus): void {
    this.update({ server, complaint: '' });
  }

  setComplaint(complaint: string): void {
    this.update({ complaint });
  }

  setPause(pausedUntil: string | undefined): void {
    this.update({ pausedUntil });
  }

  setDisabled(disabled: string | undefined): void {
    this.update({ disabled });
  }

  setSparing(isSparing: boolean): void {
    this.update({ isSparing });
  }

  setRequests(numUnderWay: number): void {
    if (numUnderWay === 0) {
      clearTimeout(this.timer);
      this.timer = undefined;
      this.update({ isThinking: false });
    } else {
      this.timer ??= setTimeout(() => {
        this.update({ isThinking: true });
      }, THINKING_AFTER_MS);
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.item.dispose();
    this.changed.dispose();
  }

  private update(change: Partial<Situation>): void {
    this.situation = { ...this.situation, ...change };
    const before = this.shown;
    this.shown = describe(this.situation);
    if (before.text !== this.shown.text || before.tooltip !== this.shown.tooltip) {
      this.draw();
    }
    if (before.state !== this.shown.state) {
      this.changed.fire(this.shown.state);
    }
  }

  private draw(): void {
    const { text, tooltip, isError, command } = this.shown;
    const spoken = `fimble: ${this.shown.state}`;
    this.item.text = text;
    this.item.tooltip = tooltip;
    this.item.command = command;
    this.item.accessibilityInformation = { label: spoken };
    this.item.backgroundColor = isError ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined;
  }
}
