// Every request for ghost text passes here: those not to be made are answered, the others counted.
import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { startsOf, type Suggestion } from './texts';

type Provide = NonNullable<Middleware['provideInlineCompletionItems']>;

/** With the battery saver on, typing has to rest for so long before anything is asked. */
const SAVER_REST_MS = 600;
/** How long the server may need to notice that the process behind it has died. */
const SECOND_TRY_AFTER_MS = 100;

export interface Gate {
  isPaused(): boolean;
  isSparing(): boolean;
}

/** A list that was given to VS Code, which is about to show it if nothing has changed meanwhile. */
export interface Offer {
  readonly document: vscode.TextDocument;
  readonly version: number;
  readonly position: vscode.Position;
  readonly suggestion: Suggestion;
}

export class Requests implements vscode.Disposable {
  private underWay = 0;
  private readonly counted = new vscode.EventEmitter<number>();
  private readonly offered = new vscode.EventEmitter<Offer>();

  /** Tells how many requests are under way, whenever that changes. */
  readonly onDidCount = this.counted.event;
  readonly onDidOffer = this.offered.event;

  constructor(private readonly gate: Gate) {}

  get numUnderWay(): number {
    return this.underWay;
  }

  readonly provide: Provide = async (document, position, context, token, next) => {
    const isAutomatic = context.triggerKind === vscode.InlineCompletionTriggerKind.Automatic;
    if (isAutomatic && !(await this.isWanted(token))) {
      return [];
    }
    const { version } = document;
    this.count(1);
    try {
      const given = await twice(() => next(document, position, context, token), token);
      const suggestion = startsOf(given);
      if (suggestion !== undefined && !token.isCancellationRequested) {
        this.offered.fire({ document, version, position, suggestion });
      }
      return given;
    } finally {
      this.count(-1);
    }
  };

  dispose(): void {
    this.counted.dispose();
    this.offered.dispose();
  }

  private async isWanted(token: vscode.CancellationToken): Promise<boolean> {
    if (this.gate.isPaused()) {
      return false;
    }
    return !this.gate.isSparing() || (await restsFor(SAVER_REST_MS, token));
  }

  private count(change: 1 | -1): void {
    this.underWay += change;
    this.counted.fire(this.underWay);
  }
}

/** Asks again if the server gave up what VS Code still wants, as it does when its daemon dies. */
async function twice<T>(ask: () => PromiseLike<T> | T, token: vscode.CancellationToken): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    const isGivenUp = error instanceof vscode.CancellationError;
    if (!isGivenUp || !(await restsFor(SECOND_TRY_AFTER_MS, token))) {
      throw error;
    }
    return await ask();
  }
}

/** Waits; returns false as soon as the request is taken back, as it is with the next key. */
function restsFor(delayMs: number, token: vscode.CancellationToken): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      listener.dispose();
      resolve(!token.isCancellationRequested);
    }, delayMs);
    const listener = token.onCancellationRequested(() => {
      clearTimeout(timer);
      listener.dispose();
      resolve(false);
    });
  });
}
