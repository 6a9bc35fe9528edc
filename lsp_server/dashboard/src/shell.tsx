// The frame around every view: name, views, connection, theme.

import { useEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';

import { Empty } from './parts/empty';
import { HalfDisc, Moon, Sun } from './parts/icons';
import { addressOf, route, type View } from './route';
import { connection, refusal, status, type Connection } from './state';
import type { Theme } from './storage';
import { chooseNext, theme } from './theme';
import { Overview } from './views/overview';
import { Playground } from './views/playground';
import { Requests } from './views/requests';

const TITLES: Record<View, string> = {
  requests: 'Requests',
  overview: 'Overview',
  playground: 'Playground',
};
const CONNECTIONS: Record<Connection, string> = {
  connecting: 'Connecting',
  live: 'Live',
  lost: 'Not connected, trying again',
  refused: 'No access',
};
const THEMES: Record<Theme, { name: string; icon: () => JSX.Element }> = {
  system: { name: 'Theme: as the system', icon: HalfDisc },
  light: { name: 'Theme: light', icon: Sun },
  dark: { name: 'Theme: dark', icon: Moon },
};

export function Shell() {
  const { view } = route.value;
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${TITLES[view]} · fimble`;
    if (!isFirst.current) {
      main.current?.focus({ preventScroll: true });
    }
    isFirst.current = false;
  }, [view]);
  const skip = (event: Event) => {
    event.preventDefault(); // the fragment is the view's
    main.current?.focus();
  };
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Header view={view} />
      <main id="main" ref={main} tabIndex={-1} class={`view view-${view}`}>
        {connection.value === 'refused' ? <Refused /> : <Content view={view} />}
      </main>
    </>
  );
}

function Content({ view }: { view: View }) {
  switch (view) {
    case 'requests':
      return <Requests />;
    case 'overview':
      return <Overview />;
    case 'playground':
      return <Playground />;
  }
}

function Header({ view }: { view: View }) {
  return (
    <header class="top">
      <a class="wordmark" href={addressOf('requests')} aria-label="fimble, all requests">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="8" fill="var(--brand)" />
          <path d="M9 10h9M9 16h5" stroke="#fff" stroke-width="3" stroke-linecap="round" />
          <path
            d="M17 16h6M9 22h10"
            stroke="#fff"
            stroke-opacity=".5"
            stroke-width="3"
            stroke-linecap="round"
          />
        </svg>
        fimble
      </a>
      <nav aria-label="Views">
        {(Object.keys(TITLES) as View[]).map((each) => (
          <a key={each} href={addressOf(each)} aria-current={each === view ? 'page' : undefined}>
            {TITLES[each]}
          </a>
        ))}
      </nav>
      <div class="top-end">
        <ConnectionSign />
        <ThemeButton />
      </div>
    </header>
  );
}

function ConnectionSign() {
  const model = status.value?.models?.find((each) => each.state !== 'ready');
  const isLoading = connection.value === 'live' && model?.state === 'loading';
  return (
    <p class={`connection is-${isLoading ? 'connecting' : connection.value}`} role="status">
      <span class="dot" aria-hidden="true" />
      {isLoading ? 'Loading the model' : CONNECTIONS[connection.value]}
    </p>
  );
}

function ThemeButton() {
  const { name, icon: Icon } = THEMES[theme.value];
  return (
    <button type="button" class="quiet-button" onClick={chooseNext} aria-label={name} title={name}>
      <Icon />
    </button>
  );
}

function Refused() {
  return (
    <Empty title="This page needs its token" level={1}>
      <p>
        It shows source text, so it opens only from the address that fimble prints. Get a new one in
        a terminal and open it:
      </p>
      <p>
        <code class="command">fimble dashboard --open</code>
      </p>
      <p class="fine">The server says: {refusal.value}</p>
    </Empty>
  );
}
