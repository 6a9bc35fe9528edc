// Drawings of 16 by 16, in the colour of the text around them.

import type { ComponentChildren } from 'preact';

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

const stroke = {
  fill: 'none',
  stroke: 'currentColor',
  'stroke-width': '1.5',
  'stroke-linecap': 'round',
  'stroke-linejoin': 'round',
} as const;

export function Sun() {
  return (
    <Icon>
      <circle cx="8" cy="8" r="2.75" {...stroke} />
      <path
        d="M8 1.5v1.25M8 13.25v1.25M1.5 8h1.25M13.25 8h1.25M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9"
        {...stroke}
      />
    </Icon>
  );
}

export function Moon() {
  return (
    <Icon>
      <path d="M13.5 9.6A5.75 5.75 0 0 1 6.4 2.5a5.75 5.75 0 1 0 7.1 7.1z" {...stroke} />
    </Icon>
  );
}

export function HalfDisc() {
  return (
    <Icon>
      <circle cx="8" cy="8" r="5.5" {...stroke} />
      <path d="M8 2.5a5.5 5.5 0 0 1 0 11z" fill="currentColor" />
    </Icon>
  );
}

export function Pause() {
  return (
    <Icon>
      <path d="M5.5 3.5v9M10.5 3.5v9" {...stroke} />
    </Icon>
  );
}

export function Play() {
  return (
    <Icon>
      <path d="M5 3.25v9.5L12.5 8z" {...stroke} />
    </Icon>
  );
}

export function Back() {
  return (
    <Icon>
      <path d="M9.75 3.5 5.25 8l4.5 4.5" {...stroke} />
    </Icon>
  );
}

export function Copy() {
  return (
    <Icon>
      <rect x="5.75" y="5.75" width="7.5" height="7.5" rx="1.5" {...stroke} />
      <path d="M10.25 3.5A1 1 0 0 0 9.25 2.75h-5.5a1 1 0 0 0-1 1v5.5a1 1 0 0 0 .75 1" {...stroke} />
    </Icon>
  );
}

export function Done() {
  return (
    <Icon>
      <path d="m3.25 8.5 3 3 6.5-7" {...stroke} />
    </Icon>
  );
}

/** One shape for each outcome, so that colour alone never tells them apart. */
export function OutcomeMark({ outcome }: { outcome: string }) {
  return (
    <svg class={`outcome-mark is-${outcome}`} viewBox="0 0 16 16" aria-hidden="true">
      {outcome === 'suggestion' && (
        <>
          <circle cx="8" cy="8" r="6.25" fill="currentColor" />
          <path d="m5.25 8.25 2 2 3.6-4" {...stroke} stroke="var(--surface)" />
        </>
      )}
      {outcome === 'nothing' && <circle cx="8" cy="8" r="5.5" {...stroke} />}
      {outcome !== 'suggestion' && outcome !== 'nothing' && (
        <path d="M4.5 4.5l7 7M11.5 4.5l-7 7" {...stroke} />
      )}
    </svg>
  );
}
