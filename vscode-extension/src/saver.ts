// The battery saver: on, off, or as the power source says, looked at once a minute.
import * as vscode from 'vscode';
import { isOnBattery } from './battery';
import { saverChoice, SECTION } from './configuration';
import { run } from './programs';

const LOOK_EVERY_MS = 60_000;
const POWER_FOLDER = '/sys/class/power_supply';

export class Saver implements vscode.Disposable {
  private onBattery = false;
  private readonly changed = new vscode.EventEmitter<boolean>();
  private readonly timer: NodeJS.Timeout;
  private readonly listener: vscode.Disposable;
  private last = false;
  /** Kept, as it is asked for with every key. */
  private choice = saverChoice();

  /** Tells whether power is saved, whenever that changes. */
  readonly onDidChange = this.changed.event;

  constructor() {
    this.last = this.isOn;
    this.timer = setInterval(() => void this.look(), LOOK_EVERY_MS);
    this.listener = vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration(`${SECTION}.batterySaver`)) {
        this.choice = saverChoice();
        void this.look();
      }
    });
    void this.look();
  }

  get isOn(): boolean {
    return this.choice === 'on' || (this.choice === 'auto' && this.onBattery);
  }

  dispose(): void {
    clearInterval(this.timer);
    this.listener.dispose();
    this.changed.dispose();
  }

  private async look(): Promise<void> {
    if (this.choice === 'auto') {
      this.onBattery = await isOnBattery({ platform: process.platform, run, folder: POWER_FOLDER });
    }
    if (this.isOn !== this.last) {
      this.last = this.isOn;
      this.changed.fire(this.last);
    }
  }
}
