// The real vscode-languageclient, as an extension of VS Code runs it, against one server.
// Reads {command, options, path, text} from standard input and writes what it was given as JSON.
'use strict';

const Module = require('node:module');

const resolve = Module._resolveFilename;
Module._resolveFilename = (request, ...rest) =>
  request === 'vscode' ? require.resolve('./vscode.js') : resolve(request, ...rest);

const vscode = require('vscode');
const { LanguageClient, TransportKind } = require('vscode-languageclient/node');

// Of VS Code's own API; what this client sends is the same numbers.
const INVOKE = 0;
const AUTOMATIC = 1;

async function main({ command: [program, ...args], options, path, text }) {
  const executable = { command: program, args, transport: TransportKind.stdio };
  const client = new LanguageClient('fimble', 'fimble', executable, {
    documentSelector: [{ language: 'python' }],
    initializationOptions: options,
  });
  client.registerProposedFeatures(); // where version 9 keeps inline completion
  const document = new vscode.TextDocument(path, 'python', text);
  vscode.workspace.open(document);
  await client.start();

  const ask = async (position, context, token = new vscode.CancellationTokenSource().token) => {
    const params = client.code2ProtocolConverter.asInlineCompletionParams(document, position, context);
    const given = await vscode.languages.ghostText
      .provideInlineCompletionItems(document, position, context, token)
      .catch((error) => ({ error: error.name }));
    const why = await client.sendRequest('fimble/why', { textDocument: { uri: document.uri.toString() } });
    return { sent: params.context, given, why };
  };

  const at = (line, character) => new vscode.Position(line, character);
  const seen = { capabilities: client.initializeResult.capabilities };
  document.insert(at(1, 4), 'return wid');
  // Before the server has met a number that only one generation sends.
  seen.automaticInWord = await ask(at(1, 13), { triggerKind: AUTOMATIC });
  seen.automatic = await ask(at(1, 14), { triggerKind: AUTOMATIC });
  seen.invokedInWord = await ask(at(1, 13), { triggerKind: INVOKE });
  seen.selected = await ask(at(1, 14), {
    triggerKind: AUTOMATIC,
    selectedCompletionInfo: { range: new vscode.Range(at(1, 11), at(1, 14)), text: 'width' },
  });
  const source = new vscode.CancellationTokenSource();
  document.insert(at(1, 14), 'th *');
  const cancelled = ask(at(1, 18), { triggerKind: AUTOMATIC }, source.token);
  source.cancel();
  seen.cancelled = await cancelled;
  seen.afterCancelling = await ask(at(1, 18), { triggerKind: AUTOMATIC });
  const [{ command }] = seen.automatic.given.items;
  seen.accepted = await vscode.commands.executeCommand(command.command, ...command.arguments);
  seen.shown = vscode.window.shown;
  await client.stop();
  process.stdout.write(JSON.stringify(seen));
}

let input = '';
process.stdin.on('data', (part) => { input += part; });
process.stdin.on('end', () => {
  main(JSON.parse(input)).catch((error) => {
    process.stderr.write(`${error.stack}\n${JSON.stringify(vscode.window.shown)}\n`);
    process.exit(1);
  });
});
