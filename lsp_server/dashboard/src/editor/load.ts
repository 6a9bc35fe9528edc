// Fetches Monaco, which is large, when somebody opens the playground.

declare const MONACO_SCRIPT: string;
declare const MONACO_STYLE: string;
declare const MONACO_WORKER: string;

export type Monaco = typeof import('./monaco');

let loading: Promise<Monaco> | null = null;

export function loadMonaco(): Promise<Monaco> {
  loading ??= fetchIt();
  return loading;
}

async function fetchIt(): Promise<Monaco> {
  const folder = new URL('.', import.meta.url);
  const makeWorker = () =>
    new Worker(new URL(MONACO_WORKER, folder), { type: 'module', name: 'monaco' });
  Object.assign(globalThis, { MonacoEnvironment: { getWorker: makeWorker } });
  addEventListener('unhandledrejection', (event) => {
    // What Monaco takes back is no error, though it rejects promises that nobody waits for.
    if (event.reason instanceof Error && event.reason.name === 'Canceled') {
      event.preventDefault();
    }
  });
  await styled(new URL(MONACO_STYLE, folder));
  const script = new URL(MONACO_SCRIPT, folder).href;
  const monaco = (await import(script)) as Monaco;
  await document.fonts.load('13px "JetBrains Mono Variable"'); // it measures letters once
  return monaco;
}

function styled(url: URL): Promise<void> {
  return new Promise((resolve, reject) => {
    const link = document.createElement('link');
    link.rel = 'stylesheet';
    link.href = url.href;
    link.onload = () => resolve();
    link.onerror = () => reject(new Error('the styles of the editor could not be loaded'));
    document.head.prepend(link); // ours decide
  });
}
