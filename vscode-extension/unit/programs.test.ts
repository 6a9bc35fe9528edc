import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { candidatesOnPath, endSoon, run } from '../src/programs';

describe('a program', () => {
  it('is run to its end, its lines told as they come', async () => {
    const lines: string[] = [];
    const script = "console.log('one'); console.error('two'); process.exit(3)";
    const ended = await run([process.execPath, '-e', script], { onLine: (line) => lines.push(line) });
    expect(ended).toEqual({ code: 3, output: 'one\n', errors: 'two\n' });
    expect(lines.sort()).toEqual(['one', 'two']);
  });

  it('has its lines told whole, however they arrive', async () => {
    const lines: string[] = [];
    const script = "process.stdout.write('Collecting to'); setTimeout(() => process.stdout.write('rch\\nend'), 50)";
    await run([process.execPath, '-e', script], { onLine: (line) => lines.push(line) });
    expect(lines).toEqual(['Collecting torch', 'end']);
  });

  it('runs at home, not in the folder that VS Code was started from', async () => {
    const { output } = await run([process.execPath, '-e', 'console.log(process.cwd())']);
    expect(output.trim()).toBe(homedir());
  });

  it('that nobody has named is an error in words', async () => {
    expect(await run([''])).toMatchObject({ code: null, errors: expect.stringContaining('empty') as string });
  });

  it('that does not listen is ended by force', async () => {
    const script = "process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000); console.log('deaf')";
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    endSoon(child, 50);
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
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
