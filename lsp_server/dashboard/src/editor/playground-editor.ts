// An editor with ghost text from the engine: Monaco on this side, a mirrored document on the other.

import { RefusedError, post } from '../api';
import { loadMonaco, type Monaco } from './load';
import { Mirror, type Completion } from './mirror';
import { cut, type Sample } from './samples';
import { defineThemes } from './themes';

const DEBOUNCE_MS = 90;
const DEADLINE_MS = 5000; // what is finished by then is shown
const LOADING_RETRY_MS = 500;

type Editor = ReturnType<Monaco['editor']['create']>;

export interface Listener {
  onAsk(): void;
  /** Whether the server has no model yet: looking on did not need one. */
  isLoading(): boolean;
  onLoading(): void;
  onAnswer(completion: Completion): void;
  onFailure(reason: string): void;
}

export interface PlaygroundEditor {
  open(sample: Sample): void;
  setDark(isDark: boolean): void;
  setNumCandidates(num: number): void;
  ask(): void;
  dispose(): void;
}

/** Returns an editor in `place`, once Monaco has come. */
export async function createEditor(place: HTMLElement, listener: Listener): Promise<PlaygroundEditor> {
  const monaco = await loadMonaco();
  defineThemes(monaco);
  const editor = monaco.editor.create(place, {
    model: null,
    automaticLayout: true,
    ariaLabel: 'Playground. Control M lets Tab leave the editor.',
    contextmenu: false,
    folding: false,
    fontFamily: '"JetBrains Mono Variable", ui-monospace, monospace',
    fontLigatures: false,
    fontSize: 13.5,
    lineHeight: 22,
    inlineSuggest: { enabled: true, showToolbar: 'onHover' },
    lineNumbersMinChars: 3,
    minimap: { enabled: false },
    overviewRulerLanes: 0,
    padding: { top: 18, bottom: 18 },
    quickSuggestions: false,
    renderFinalNewline: 'on', // else the last line's number is too pale to read
    renderLineHighlight: 'all',
    scrollBeyondLastLine: false,
    scrollbar: { alwaysConsumeMouseWheel: false, useShadows: false },
    stickyScroll: { enabled: false },
    wordBasedSuggestions: 'off',
  });
  return new Playground(monaco, editor, listener);
}

class Playground implements PlaygroundEditor {
  private mirror: Mirror | null = null;
  private numCandidates = 1;
  private readonly disposables: { dispose(): void }[] = [];

  constructor(
    private readonly monaco: Monaco,
    private readonly editor: Editor,
    private readonly listener: Listener,
  ) {
    this.disposables.push(this.provider(), editor.onDidChangeModelContent(() => this.send()));
  }

  open(sample: Sample): void {
    this.mirror?.close();
    this.mirror = new Mirror(sample.language, sample.path);
    const { text, offset } = cut(sample.text);
    const former = this.editor.getModel();
    const model = this.monaco.editor.createModel(text, sample.language);
    model.setEOL(this.monaco.editor.EndOfLineSequence.LF);
    this.editor.setModel(model);
    former?.dispose();
    this.editor.setPosition(model.getPositionAt(offset));
    this.send();
  }

  setDark(isDark: boolean): void {
    this.monaco.editor.setTheme(isDark ? 'fimble-dark' : 'fimble-light');
  }

  setNumCandidates(num: number): void {
    this.numCandidates = num;
  }

  ask(): void {
    this.editor.focus();
    this.editor.trigger('playground', 'editor.action.inlineSuggest.trigger', {});
  }

  dispose(): void {
    this.disposables.forEach((each) => each.dispose());
    this.mirror?.close();
    this.editor.getModel()?.dispose();
    this.editor.dispose();
  }

  /** Tells the server of an edit at once, so that its cache is ready when somebody asks. */
  private send(): void {
    const text = this.editor.getModel()?.getValue();
    if (text !== undefined) {
      this.mirror?.follow(text).catch(() => undefined); // asking will tell
    }
  }

  /** Returns what `ask` does, as soon as the server has a model. */
  private async onceLoaded(ask: () => Promise<Completion>, signal: AbortSignal): Promise<Completion> {
    for (;;) {
      try {
        if (!this.listener.isLoading()) {
          return await ask();
        }
      } catch (error) {
        if (!(error instanceof RefusedError && error.code === 'model_loading')) {
          throw error;
        }
      }
      this.listener.onLoading();
      await new Promise((resolve) => setTimeout(resolve, LOADING_RETRY_MS));
      signal.throwIfAborted();
    }
  }

  private provider(): { dispose(): void } {
    const { languages, Range, editor } = this.monaco;
    return languages.registerInlineCompletionsProvider('*', {
      debounceDelayMs: DEBOUNCE_MS,
      provideInlineCompletions: async (model, position, _context, token) => {
        const mirror = this.mirror;
        if (mirror === null || model !== this.editor.getModel()) {
          return { items: [] };
        }
        const stop = new AbortController();
        token.onCancellationRequested(() => stop.abort());
        this.listener.onAsk();
        try {
          const wishes = { num_candidates: this.numCandidates, deadline_ms: DEADLINE_MS };
          const offset = model.getOffsetAt(position);
          const text = model.getValue(editor.EndOfLinePreference.LF);
          const ask = () => mirror.complete(text, offset, wishes, stop.signal);
          const completion = await this.onceLoaded(ask, stop.signal);
          this.listener.onAnswer(completion);
          const { lineNumber, column } = position;
          const range = new Range(lineNumber, column, lineNumber, column);
          const items = textsOf(completion).map((insertText, choice) => ({
            insertText,
            range,
            completeBracketPairs: false,
            requestId: completion.id,
            choice,
          }));
          return { items };
        } catch (error) {
          if (!stop.signal.aborted) {
            this.listener.onFailure(error instanceof Error ? error.message : String(error));
          }
          return { items: [] };
        }
      },
      handleItemDidShow: (_list, item) => tell('view', item),
      handleEndOfLifetime: (_list, item, reason) => {
        if (reason.kind === languages.InlineCompletionEndOfLifeReasonKind.Accepted) {
          tell('select', item);
        }
      },
      disposeInlineCompletions: () => undefined,
    });
  }
}

function textsOf({ text, candidates }: Completion): string[] {
  return [...new Set([text, ...candidates.map((each) => each.text)])].filter((each) => each !== '');
}

/** Reports what a person did with a suggestion, as an editor would. */
function tell(type: 'view' | 'select', item: object): void {
  const { requestId, choice } = item as { requestId: string; choice: number };
  const event = { type, completion_id: requestId, choice_index: choice };
  post('/v1/events', event).catch(() => undefined); // statistics only
}
