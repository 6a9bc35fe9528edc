// The parts of Monaco that the playground uses; everything else stays out of the bundle.

import 'monaco-editor/editor/browser/coreCommands';
import 'monaco-editor/editor/common/standaloneStrings';
import 'monaco-editor/editor/contrib/caretOperations/browser/caretOperations';
import 'monaco-editor/features/bracketMatching/register';
import 'monaco-editor/features/clipboard/register';
import 'monaco-editor/features/codeEditor/register';
import 'monaco-editor/features/codicon/register';
import 'monaco-editor/features/comment/register';
import 'monaco-editor/features/cursorUndo/register';
import 'monaco-editor/features/indentation/register';
import 'monaco-editor/features/inlineCompletions/register';
import 'monaco-editor/features/linesOperations/register';
import 'monaco-editor/features/multicursor/register';
import 'monaco-editor/features/toggleTabFocusMode/register';
import 'monaco-editor/features/wordOperations/register';

import { languages } from 'monaco-editor/editor/editor.api';
import * as go from 'monaco-editor/languages/definitions/go/go';
import * as java from 'monaco-editor/languages/definitions/java/java';
import * as javascript from 'monaco-editor/languages/definitions/javascript/javascript';
import * as python from 'monaco-editor/languages/definitions/python/python';
import * as rust from 'monaco-editor/languages/definitions/rust/rust';
import * as typescript from 'monaco-editor/languages/definitions/typescript/typescript';

const DEFINITIONS = { go, java, javascript, python, rust, typescript };

for (const [id, { conf, language }] of Object.entries(DEFINITIONS)) {
  languages.register({ id });
  languages.setLanguageConfiguration(id, conf);
  languages.setMonarchTokensProvider(id, language);
}

export { Range, Uri, editor, languages } from 'monaco-editor/editor/editor.api';
