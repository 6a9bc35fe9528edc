// Shows why there is a suggestion, or none, in a read-only document beside the code.
import * as vscode from 'vscode';
import type { Explanation } from './explanation';
import { renderExplanation } from './render';

const SCHEME = 'fimble-why';
const PLACE = vscode.Uri.from({ scheme: SCHEME, path: '/Why.md' });

export type AskWhy = (uri: string) => Promise<Explanation | null>;

/** The text lives in memory and is gone with the window; nothing of it is sent anywhere. */
export class WhyView implements vscode.Disposable {
  private text = '';
  private lastUri: string | undefined;
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly registered: vscode.Disposable;

  constructor(
    private readonly ask: AskWhy,
    private readonly notes: () => string[],
  ) {
    this.registered = vscode.Disposable.from(
      this.changed,
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
        onDidChange: this.changed.event,
        provideTextDocumentContent: () => this.text,
      }),
      vscode.commands.registerCommand('fimble.why', () => this.show()),
    );
  }

  dispose(): void {
    this.registered.dispose();
  }

  private async show(): Promise<void> {
    const document = vscode.window.activeTextEditor?.document;
    if (document !== undefined && document.uri.scheme !== SCHEME) {
      this.lastUri = document.uri.toString();
    }
    this.text = await this.explain();
    const shown = await vscode.workspace.openTextDocument(PLACE);
    this.changed.fire(PLACE);
    await vscode.languages.setTextDocumentLanguage(shown, 'markdown');
    await vscode.window.showTextDocument(shown, {
      viewColumn: vscode.ViewColumn.Beside,
      preview: true,
      preserveFocus: true,
    });
  }

  private async explain(): Promise<string> {
    const notes = this.notes();
    if (this.lastUri === undefined) {
      return renderExplanation(null, notes);
    }
    try {
      return renderExplanation(await this.ask(this.lastUri), notes);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return renderExplanation(null, [...notes, `The server did not answer: ${reason}`]);
    }
  }
}
