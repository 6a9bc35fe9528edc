// Text as the editor has it.

import { useState } from 'preact/hooks';

import { Copy, Done } from './icons';

const SHOWN_MS = 1600;

/** A block of code; long ones scroll, by the keyboard too. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <pre class="code" tabIndex={0} role="group" aria-label={label}>
      {text}
    </pre>
  );
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), SHOWN_MS);
  };
  return (
    <button type="button" class="quiet-button" onClick={() => void copy()} aria-label={label} title={label}>
      {isDone ? <Done /> : <Copy />}
    </button>
  );
}
