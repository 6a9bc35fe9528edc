// As much of VS Code's API as vscode-languageclient needs to serve one document. Whatever is not
// here is an empty class, which is enough for the parts of the client that the tests leave alone.
'use strict';

const { CancellationTokenSource, Emitter } = require('vscode-jsonrpc');
const { URI } = require('vscode-uri');

class Position {
  constructor(line, character) {
    Object.assign(this, { line, character });
  }
}

class Range {
  constructor(start, startCharacter, end, endCharacter) {
    const corners = typeof start === 'number'
      ? [new Position(start, startCharacter), new Position(end, endCharacter)]
      : [start, startCharacter];
    [this.start, this.end] = corners;
  }

  // VS Code writes ranges to JSON this way, and old clients sent them so.
  toJSON() {
    return [this.start, this.end];
  }
}

class InlineCompletionItem {
  constructor(insertText, range, command) {
    Object.assign(this, { insertText, range, command });
  }
}

class InlineCompletionList {
  constructor(items) {
    this.items = items;
  }
}

class CancellationError extends Error {}

class Disposable {
  constructor(dispose) {
    this.dispose = dispose;
  }

  static from(...parts) {
    return new Disposable(() => parts.forEach((part) => part.dispose()));
  }
}

// A document that may be edited; every edit is told to those who listen.
class TextDocument {
  constructor(path, languageId, text) {
    Object.assign(this, { uri: URI.file(path), languageId, version: 1, isClosed: false, text });
  }

  getText() {
    return this.text;
  }

  insert(position, text) {
    const lines = this.text.split('\n');
    const offset = lines.slice(0, position.line).join('\n').length
      + (position.line > 0 ? 1 : 0) + position.character;
    this.text = this.text.slice(0, offset) + text + this.text.slice(offset);
    this.version += 1;
    const range = new Range(position, position);
    const change = { range, rangeOffset: offset, rangeLength: 0, text };
    workspace.changed.fire({ document: this, contentChanges: [change], reason: undefined });
  }
}

const nothing = new Disposable(() => {});
const never = () => nothing;
const shown = [];
const show = async (text) => void shown.push(text);

const workspace = {
  opened: new Emitter(),
  changed: new Emitter(),
  textDocuments: [],
  workspaceFolders: undefined,
  open(document) {
    workspace.textDocuments.push(document);
    workspace.opened.fire(document);
  },
  getConfiguration: () => ({ get: () => undefined }),
  createFileSystemWatcher: () => ({ dispose() {} }),
  onDidOpenTextDocument: (...listener) => workspace.opened.event(...listener),
  onDidChangeTextDocument: (...listener) => workspace.changed.event(...listener),
  onDidCloseTextDocument: never,
  onDidSaveTextDocument: never,
  onWillSaveTextDocument: never,
  onDidChangeConfiguration: never,
  onDidChangeWorkspaceFolders: never,
  onDidCreateFiles: never,
  onDidRenameFiles: never,
  onDidDeleteFiles: never,
  onWillCreateFiles: never,
  onWillRenameFiles: never,
  onWillDeleteFiles: never,
  onDidOpenNotebookDocument: never,
  onDidChangeNotebookDocument: never,
  onDidSaveNotebookDocument: never,
  onDidCloseNotebookDocument: never,
  notebookDocuments: [],
};

const window = {
  shown,
  activeTextEditor: undefined,
  visibleTextEditors: [],
  tabGroups: { all: [], onDidChangeTabs: never },
  onDidChangeActiveTextEditor: never,
  createOutputChannel: () => ({ append() {}, appendLine() {}, show() {}, dispose() {} }),
  showErrorMessage: show,
  showWarningMessage: show,
  showInformationMessage: show,
  withProgress: async (_options, task) => {
    const { token } = new CancellationTokenSource();
    return task({ report() {} }, token);
  },
};

const languages = {
  ghostText: undefined,
  match: () => 1,
  createDiagnosticCollection: () => ({ set() {}, delete() {}, clear() {}, dispose() {} }),
  registerInlineCompletionItemProvider(_selector, provider) {
    languages.ghostText = provider;
    return nothing;
  },
};

const registered = new Map();
const commands = {
  registerCommand(name, run) {
    registered.set(name, run);
    return nothing;
  },
  executeCommand: async (name, ...args) => registered.get(name)(...args),
};

const known = {
  CancellationError, CancellationTokenSource, Disposable, EventEmitter: Emitter,
  InlineCompletionItem, InlineCompletionList, Position, Range, TextDocument, Uri: URI,
  commands, languages, window, workspace,
  version: '1.100.3',
  env: { appName: 'Visual Studio Code', language: 'en' },
};

module.exports = new Proxy(known, {
  get(target, name) {
    if (!(name in target) && typeof name === 'string') {
      target[name] = /^[A-Z]/.test(name) ? class {} : undefined;
    }
    return target[name];
  },
});
