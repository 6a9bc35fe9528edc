// What the process holds: models with their caches, and indexes.

import { bytes, count, counted, duration, sentence } from '../format';
import { Meter } from '../parts/meter';
import { status } from '../state';
import type { IndexStatus, ModelStatus } from '../types';

export function Holdings() {
  const models = status.value?.models ?? [];
  const indexes = status.value?.indexes ?? [];
  return (
    <div class="columns">
      <section class="card">
        <h2>Models</h2>
        {models.length === 0 ? (
          <p class="fine">None is loaded. The first request of an editor loads one.</p>
        ) : (
          <ul class="holdings">
            {models.map((model, at) => (
              <Model key={at} model={model} />
            ))}
          </ul>
        )}
      </section>
      <section class="card">
        <h2>Indexes</h2>
        {indexes.length === 0 ? (
          <p class="fine">
            None is open. One is made for each folder that an editor opens, or by{' '}
            <code>fimble index FOLDER</code>.
          </p>
        ) : (
          <ul class="holdings">
            {indexes.map((index) => (
              <Index key={index.folder} index={index} />
            ))}
          </ul>
        )}
      </section>
    </div>
  );
}

function State({ state }: { state: string }) {
  const kind = { ready: 'good', 'up to date': 'good', failed: 'bad' }[state] ?? 'busy';
  return <span class={`state-tag is-${kind}`}>{state}</span>;
}

function Model({ model }: { model: ModelStatus }) {
  const cache = model.cache;
  const slots = cache?.num_slots ?? 0;
  return (
    <li>
      <div class="holding-head">
        <h3>{model.name}</h3>
        <State state={model.state} />
      </div>
      {model.detail && <p class="fine">{sentence(model.detail)}</p>}
      {slots > 0 && (
        <Meter
          ratio={(cache?.num_used_slots ?? 0) / slots}
          label={`of the cache in use: ${count(cache?.num_used_slots)} of ${counted(slots, 'token')}`}
        />
      )}
      <dl class="inline-facts">
        <Fact name="Clients" value={count(model.num_clients)} />
        <Fact name="Waiting" value={count(model.num_waiting)} />
        <Fact name="Computed for" value={duration(model.busy_s)} />
        <Fact name="Tokens read" value={count(cache?.num_computed)} />
        <Fact name="Tokens healed" value={count(cache?.num_healed)} />
      </dl>
    </li>
  );
}

function Index({ index }: { index: IndexStatus }) {
  return (
    <li>
      <div class="holding-head">
        <h3 class="is-path" title={index.folder}>
          {index.folder}
        </h3>
        <State state={index.state} />
      </div>
      {index.detail && <p class="fine">{sentence(index.detail)}</p>}
      <dl class="inline-facts">
        <Fact name="Files" value={count(index.num_files)} />
        <Fact name="Pieces" value={count(index.num_chunks)} />
        <Fact name="On disk" value={bytes(index.num_bytes)} />
        <Fact name="Open" value={count(index.num_open)} />
      </dl>
    </li>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="number">{value}</dd>
    </div>
  );
}
