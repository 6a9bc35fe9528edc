// The live list of requests, and beside it the one that was chosen.

import { computed, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';

import { milliseconds, place, quantile, reasonOf, timeOfDay } from '../format';
import { OUTCOMES, OUTCOME_NAMES, OUTCOME_PLURALS, outcomeOf, type Outcome } from '../outcomes';
import { Empty } from '../parts/empty';
import { OutcomeMark, Pause, Play } from '../parts/icons';
import { StageBar, StageLegend } from '../parts/stagebar';
import { addressOf, goTo, route } from '../route';
import { goOn, isFilled, isPaused, numHeld, pause, requests } from '../state';
import { totalOf } from '../stages';
import type { Explanation } from '../types';
import { Detail } from './detail';

const filter = signal<Outcome | null>(null);
const shown = computed(() =>
  filter.value === null
    ? requests.value
    : requests.value.filter((one) => outcomeOf(one) === filter.value),
);
// One that took ten times as long must not make hairlines of all others.
const scale = computed(() => quantile(shown.value.map(totalOf), 0.95) ?? 1);

export function Requests() {
  const { id } = route.value;
  if (isFilled.value && requests.value.length === 0 && id === '') {
    return <NothingYet />;
  }
  return (
    <div class={`requests ${id === '' ? '' : 'has-choice'}`}>
      <section class="list-side" aria-label="Requests">
        <h1 class="visually-hidden">Requests</h1>
        <Toolbar />
        <List chosen={id} />
      </section>
      <section class="detail-side" aria-label="The chosen request">
        {id === '' ? <NothingChosen /> : <Detail key={id} id={id} />}
      </section>
    </div>
  );
}

function Toolbar() {
  return (
    <div class="toolbar">
      <div class="segmented" role="group" aria-label="Which requests">
        <FilterButton outcome={null} name="All" />
        {OUTCOMES.map((outcome) => (
          <FilterButton key={outcome} outcome={outcome} name={OUTCOME_PLURALS[outcome]} />
        ))}
      </div>
      <PauseButton />
    </div>
  );
}

function FilterButton({ outcome, name }: { outcome: Outcome | null; name: string }) {
  const all = requests.value;
  const num = outcome === null ? all.length : all.filter((one) => outcomeOf(one) === outcome).length;
  return (
    <button
      type="button"
      aria-pressed={filter.value === outcome}
      onClick={() => {
        filter.value = outcome;
      }}
    >
      {name} <span class="number">{num}</span>
    </button>
  );
}

function PauseButton() {
  if (!isPaused.value) {
    return (
      <button
        type="button"
        class="quiet-button"
        onClick={pause}
        aria-label="Pause"
        title="Pause: hold new requests back"
      >
        <Pause />
      </button>
    );
  }
  return (
    <button type="button" class="quiet-button is-on" onClick={goOn}>
      <Play /> {numHeld.value === 0 ? 'Go on' : `Show ${numHeld.value} new`}
    </button>
  );
}

/** Moves the focus between rows; Enter on a row is the browser's own. */
function onKey(event: KeyboardEvent) {
  const list = event.currentTarget as HTMLElement;
  const rows = [...list.querySelectorAll<HTMLElement>('a.row')];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  const next = to === undefined ? undefined : rows[to];
  if (next !== undefined) {
    event.preventDefault();
    next.focus();
    goTo('requests', next.dataset['id'] ?? '');
  }
}

function List({ chosen }: { chosen: string }) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' });
  }, [chosen]);
  // Tab stops at one row and goes on to what it says; there may be two hundred.
  const entrance = shown.value.some((one) => one.id === chosen) ? chosen : shown.value[0]?.id;
  if (shown.value.length === 0) {
    return <p class="list-note">{isFilled.value ? 'There are none of these.' : 'Fetching them…'}</p>;
  }
  return (
    <div class="list" ref={list} onKeyDown={onKey}>
      <ol>
        {shown.value.map((one) => (
          <Row
            key={one.id}
            one={one}
            isChosen={one.id === chosen}
            isEntrance={one.id === entrance}
          />
        ))}
      </ol>
    </div>
  );
}

interface RowProps {
  one: Explanation;
  isChosen: boolean;
  /** Whether Tab stops here. */
  isEntrance: boolean;
}

function Row({ one, isChosen, isEntrance }: RowProps) {
  const outcome = outcomeOf(one);
  const text = one.text?.trim();
  return (
    <li>
      <a
        class={`row is-${outcome}`}
        href={addressOf('requests', one.id)}
        data-id={one.id}
        aria-current={isChosen ? 'true' : undefined}
        tabIndex={isEntrance ? 0 : -1}
      >
        <OutcomeMark outcome={outcome} />
        <span class="row-place">
          <span class="visually-hidden">{OUTCOME_NAMES[outcome]} at </span>
          {place(one)}
        </span>
        <span class="row-time number">{milliseconds(totalOf(one))}</span>
        {outcome === 'suggestion' && text ? (
          <span class="row-text is-code">{text}</span>
        ) : (
          <span class="row-text">{reasonOf(one)}</span>
        )}
        <time class="row-clock number" dateTime={new Date(one.time * 1000).toISOString()}>
          {timeOfDay(one.time)}
        </time>
        <StageBar one={one} scale={scale.value} />
      </a>
    </li>
  );
}

function NothingYet() {
  return (
    <Empty title="Nobody has asked for anything yet" level={1}>
      <p>
        Type in an editor that is connected to fimble. Each request appears here as it ends, with
        where its time went and why it did or did not bring a suggestion.
      </p>
      <p>
        No editor at hand? <a href={addressOf('playground')}>Try the playground.</a>
      </p>
    </Empty>
  );
}

function NothingChosen() {
  return (
    <div class="choose">
      <h2>Choose a request</h2>
      <p>
        You will see the prompt with what was computed for it, the text with what was guessed
        ahead, the code of other files it was shown, and how long each step took.
      </p>
      <p class="fine">
        Bars are as long as the request took, up to{' '}
        <span class="number">{milliseconds(scale.value)}</span>. Arrow keys go through the list.
      </p>
      <StageLegend />
    </div>
  );
}
