// Modules that have no types of their own.

declare module '*.css';

declare module 'monaco-editor/editor/browser/coreCommands';
declare module 'monaco-editor/editor/common/standaloneStrings';
declare module 'monaco-editor/editor/contrib/*';
declare module 'monaco-editor/editor/editor.worker';
declare module 'monaco-editor/features/*';

declare module 'monaco-editor/languages/definitions/*' {
  import type { languages } from 'monaco-editor';

  export const conf: languages.LanguageConfiguration;
  export const language: languages.IMonarchLanguage;
}

declare module 'monaco-editor/editor/editor.api' {
  export { Range, Uri, editor, languages } from 'monaco-editor';
}
