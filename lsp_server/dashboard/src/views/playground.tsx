// An editor on the real engine, and beside it how its last suggestion came about.

import { effect, signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';

import { explanationOf } from '../api';
import { createEditor, type PlaygroundEditor } from '../editor/playground-editor';
import { SAMPLES } from '../editor/samples';
import { Aside, type Asked } from './playground-aside';
import { status } from '../state';
import { isDark } from '../theme';

const MAX_NUM_CANDIDATES = 3;

const asked = signal<Asked>({ state: 'idle' });

const listener = {
  onAsk: () => {
    asked.value = { ...asked.value, state: 'asking' };
  },
  isLoading: () =>
    !(status.value?.models ?? []).some(({ state }) => state === 'ready' || state === 'failed'),
  onLoading: () => {
    asked.value = { ...asked.value, state: 'loading' };
  },
  onFailure: (reason: string) => {
    asked.value = { state: 'failed', reason };
  },
  onAnswer: ({ id }: { id: string }) => {
    explanationOf(id).then(
      (one) => {
        asked.value = { state: 'answered', one };
      },
      (error: unknown) => listener.onFailure(String(error)),
    );
  },
};

export function Playground() {
  const place = useRef<HTMLDivElement>(null);
  const { editor, failure } = useEditor(place);
  const [sampleIdx, setSampleIdx] = useState(0);
  const [numCandidates, setNumCandidates] = useState(1);
  const sample = SAMPLES[sampleIdx];
  useEffect(() => {
    if (editor !== null && sample !== undefined) {
      asked.value = { state: 'idle' };
      editor.open(sample);
    }
  }, [editor, sample]);
  useEffect(() => editor?.setNumCandidates(numCandidates), [editor, numCandidates]);
  return (
    <div class="playground">
      <section class="editor-side" aria-labelledby="playground-title">
        <div class="editor-head">
          <h1 id="playground-title">Playground</h1>
          <div class="controls">
            <Select
              label="Language"
              options={SAMPLES.map((each) => each.name)}
              chosen={sampleIdx}
              onChoose={setSampleIdx}
            />
            <Select
              label="Candidates"
              options={Array.from({ length: MAX_NUM_CANDIDATES }, (_, at) => String(at + 1))}
              chosen={numCandidates - 1}
              onChoose={(at) => setNumCandidates(at + 1)}
            />
            <button type="button" class="button" disabled={editor === null} onClick={() => editor?.ask()}>
              Suggest
            </button>
          </div>
        </div>
        <div class="editor-card">
          {editor === null && <p class="list-note">{failure || 'Fetching the editor…'}</p>}
          <div class="editor-place" ref={place} />
        </div>
        <Keys />
      </section>
      <Aside asked={asked.value} />
    </div>
  );
}

function useEditor(place: { current: HTMLDivElement | null }): {
  editor: PlaygroundEditor | null;
  failure: string;
} {
  const [editor, setEditor] = useState<PlaygroundEditor | null>(null);
  const [failure, setFailure] = useState('');
  useEffect(() => {
    let isGone = false;
    const ends: (() => void)[] = [];
    if (place.current !== null) {
      createEditor(place.current, listener).then(
        (made) => {
          if (isGone) {
            made.dispose();
            return;
          }
          ends.push(
            () => made.dispose(),
            effect(() => made.setDark(isDark.value)),
          );
          setEditor(made);
        },
        (error: unknown) => setFailure(`The editor could not be loaded: ${String(error)}`),
      );
    }
    return () => {
      isGone = true;
      ends.forEach((end) => end());
    };
  }, []);
  return { editor, failure };
}

interface SelectProps {
  label: string;
  options: readonly string[];
  chosen: number;
  onChoose(at: number): void;
}

function Select({ label, options, chosen, onChoose }: SelectProps) {
  return (
    <label class="select">
      <span>{label}</span>
      <select
        value={String(chosen)}
        onChange={(event) => onChoose(Number(event.currentTarget.value))}
      >
        {options.map((option, at) => (
          <option key={option} value={String(at)}>
            {option}
          </option>
        ))}
      </select>
    </label>
  );
}

const KEYS: readonly [string, string][] = [
  ['Tab', 'accept'],
  ['Ctrl →', 'accept a word'],
  ['Alt ]', 'next candidate'],
  ['Esc', 'dismiss'],
  ['Ctrl M', 'let Tab leave the editor'],
];

function Keys() {
  return (
    <dl class="keys">
      {KEYS.map(([key, meaning]) => (
        <div key={key}>
          <dt>
            <kbd>{key}</kbd>
          </dt>
          <dd>{meaning}</dd>
        </div>
      ))}
    </dl>
  );
}
