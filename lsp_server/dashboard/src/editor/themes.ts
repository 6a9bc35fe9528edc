// Monaco in the colours of the page. Letters are all of one weight, so that nothing moves.

import type { Monaco } from './load';

const LIGHT = {
  '': '1d1b18',
  comment: '6f695f',
  keyword: '0b655c',
  string: '8a4b08',
  number: '5b3fae',
  type: '1f5a99',
  tag: '0b655c',
  delimiter: '57524a',
};
const DARK = {
  '': 'eeebe4',
  comment: '98928a',
  keyword: '6fd3bf',
  string: 'e8b475',
  number: 'b8a5f0',
  type: '8dbcf0',
  tag: '6fd3bf',
  delimiter: 'b5afa4',
};

/** Brackets in one colour, however deep they are. */
function brackets(colour: string): Record<string, string> {
  const names = [1, 2, 3, 4, 5, 6].map((depth) => `editorBracketHighlight.foreground${depth}`);
  return Object.fromEntries(
    [...names, 'editorBracketHighlight.unexpectedBracket.foreground'].map((name) => [name, colour]),
  );
}

function rules(colours: Record<string, string>) {
  return Object.entries(colours).map(([token, foreground]) => ({ token, foreground }));
}

export function defineThemes({ editor }: Monaco): void {
  editor.defineTheme('fimble-light', {
    base: 'vs',
    inherit: true,
    rules: rules(LIGHT),
    colors: {
      ...brackets('#544f47'),
      'editor.background': '#ffffff',
      'editor.foreground': '#1d1b18',
      'editor.lineHighlightBackground': '#f6f4f0',
      'editor.lineHighlightBorder': '#00000000',
      'editorLineNumber.foreground': '#76706a',
      'editorLineNumber.activeForeground': '#1d1b18',
      'editorGhostText.foreground': '#6b7f7b',
      'editorCursor.foreground': '#0f766e',
      'editor.selectionBackground': '#d5ebe7',
      focusBorder: '#00000000',
    },
  });
  editor.defineTheme('fimble-dark', {
    base: 'vs-dark',
    inherit: true,
    rules: rules(DARK),
    colors: {
      ...brackets('#b9b3a8'),
      'editor.background': '#1c1b19',
      'editor.foreground': '#eeebe4',
      'editor.lineHighlightBackground': '#242320',
      'editor.lineHighlightBorder': '#00000000',
      'editorLineNumber.foreground': '#8b857b',
      'editorLineNumber.activeForeground': '#eeebe4',
      'editorGhostText.foreground': '#8fa39e',
      'editorCursor.foreground': '#5fc9b4',
      'editor.selectionBackground': '#2c4a45',
      focusBorder: '#00000000',
    },
  });
}
