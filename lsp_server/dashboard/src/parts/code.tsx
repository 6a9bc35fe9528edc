// Text as the editor has it.

import { useState } from 'preact/hooks';

import { Copy, Done } from './icons';

const SHOWN_MS = 1600;
const MAX_COLUMN = 25; // further right, the first line is the end of one, and half of it would be blank

interface Props {
  text: string;
  label: string;
  /** Where its first line begins, from 1: the others bring their indentation along. */
  column?: number;
}

/** A block of code; long ones scroll, by the keyboard too. */
export function Code({ text, label, column = 1 }: Props) {
  const isAligned = text.includes('\n') && column <= MAX_COLUMN;
  const style = isAligned ? { textIndent: `${column - 1}ch` } : {};
  return (
    <pre class="code" tabIndex={0} role="group" aria-label={label} style={style}>
      {text}
    </pre>
  );
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [isDone, setDone] = useState(false);
  // Browsers have none where the page came over the network without encryption.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard === undefined) {
    return null;
  }
  const copy = async () => {
    await clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), SHOWN_MS);
  };
  return (
    <>
      <button type="button" class="quiet-button" onClick={() => void copy()} aria-label={label} title={label}>
        {isDone ? <Done /> : <Copy />}
      </button>
      <span class="visually-hidden" role="status">
        {isDone ? 'Copied' : ''}
      </span>
    </>
  );
}
