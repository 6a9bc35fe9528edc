import { describe, expect, it } from 'vitest';
import { candidatesOnPath, run } from '../src/programs';

describe('a program', () => {
  it('is run to its end, its lines told as they come', async () => {
    const lines: string[] = [];
    const script = "console.log('one'); console.error('two'); process.exit(3)";
    const ended = await run([process.execPath, '-e', script], { onLine: (line) => lines.push(line) });
    expect(ended).toEqual({ code: 3, output: 'one\n', errors: 'two\n' });
    expect(lines.sort()).toEqual(['one', 'two']);
  });

  it('that is not there ends without a code and with a reason', async () => {
    const ended = await run(['/no/such/program']);
    expect(ended.code).toBeNull();
    expect(ended.errors).toContain('ENOENT');
  });

  it('ends when it is taken back', async () => {
    const abort = new AbortController();
    const ended = run([process.execPath, '-e', 'setInterval(() => {}, 1000)'], { signal: abort.signal });
    abort.abort();
    expect((await ended).code).toBeNull();
  });

  it('is looked for in absolute folders of the path only, in their order', () => {
    expect(candidatesOnPath('uv', '/b:.:/a:', 'linux')).toEqual(['/b/uv', '/a/uv']);
  });
});
