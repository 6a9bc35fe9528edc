// Where everything begins: the parts, and who tells whom.
//
//   server/       finds, installs, starts and restarts the server
//   client/       one connection to it, from start to end
//   suggestions/  requests for ghost text, commands around it, what became of it, on and off
//   status/       the status bar and its menu
//   why/          why there is a suggestion, or none
import * as vscode from 'vscode';
import { installSettings, SECTION } from './configuration';
import { Saver } from './saver';
import { registerServerCommands } from './server/commands';
import { updateFor, type Server } from './server/locate';
import { messageReader } from './server/messages';
import { offerInstallation, offerUpdate } from './server/offer';
import { OwnEnvironment } from './server/ownEnvironment';
import { Supervisor } from './server/supervisor';
import { StatusBar } from './status/bar';
import { registerMenu } from './status/menu';
import type { Process, State } from './status/state';
import { registerSuggestionCommands } from './suggestions/commands';
import { followCursor } from './suggestions/cursor';
import { Feedback, type Wire } from './suggestions/feedback';
import { Requests } from './suggestions/requests';
import { Switches } from './suggestions/switches';
import type { Explanation } from './why/explanation';
import { WhyView } from './why/view';

/** What other extensions get from `vscode.extensions.getExtension('fimble.fimble').activate()`. */
export interface FimbleApi {
  readonly state: State;
  /** The version of the server that was started last. */
  readonly serverVersion: string | undefined;
  /** The folder of the environment that was made for the server; empty if there is none. */
  readonly ownEnvironment: string;
  /** Requests for ghost text that were sent and are not answered. */
  readonly numRequests: number;
  readonly onDidChangeState: vscode.Event<State>;
  /** What the server was told about its suggestions. */
  readonly onDidTell: Feedback['onDidTell'];
  why(uri: string): Promise<Explanation | null>;
}

let supervisor: Supervisor | undefined;

export function activate(context: vscode.ExtensionContext): FimbleApi {
  const log = vscode.window.createOutputChannel('fimble', { log: true });
  const bar = new StatusBar();
  const saver = new Saver();
  const switches = new Switches();
  const requests = new Requests({ isPaused: () => switches.isPaused(), isSparing: () => saver.isOn });
  const own = new OwnEnvironment(context, log);
  const onProcess = (process: Process): void => {
    bar.setProcess(process);
    void vscode.commands.executeCommand('setContext', 'fimble.running', process.kind === 'running');
    if (process.kind === 'missing') {
      void offerInstallation(context.globalState);
    }
  };
  const running = new Supervisor({
    middleware: { provideInlineCompletionItems: requests.provide },
    log,
    ownFolder: () => own.folder,
    isSparing: () => saver.isOn,
    onProcess,
    onFound: (server) => void lookForUpdate(context, own, server),
    onStatus: (status) => {
      bar.setServer(status);
    },
    onMessage: messageReader(log, (complaint) => {
      bar.setComplaint(complaint);
    }),
  });
  supervisor = running;
  const wire = wireOf(running, log);
  const feedback = new Feedback(wire);
  const why = (uri: string): Promise<Explanation | null> => askWhy(running, uri);
  context.subscriptions.push(
    log,
    bar,
    saver,
    switches,
    requests,
    feedback,
    registerSuggestionCommands(feedback),
    registerServerCommands({ supervisor: running, own, log, onProcess }),
    registerMenu(bar, () => switches.isPaused()),
    new WhyView(why, () => notes(switches)),
    followCursor(wire, () => saver.isOn),
    requests.onDidCount((numUnderWay) => {
      bar.setRequests(numUnderWay);
    }),
    requests.onDidOffer((offer) => {
      bar.setComplaint('');
      feedback.offered(offer);
    }),
    ...followSettings({ running, saver, switches, bar }),
  );
  // Not awaited: VS Code waits for nothing of this.
  void running.start();
  return apiOf({ running, own, bar, requests, feedback, why });
}

async function lookForUpdate({ globalState }: vscode.ExtensionContext, own: OwnEnvironment, server: Server): Promise<void> {
  // Whoever says what to install has chosen a version.
  const shipped = installSettings().requirement === '' ? updateFor(server, await own.shippedWheel()) : undefined;
  if (shipped !== undefined) {
    await offerUpdate(globalState, server.version, shipped);
  }
}

export async function deactivate(): Promise<void> {
  await supervisor?.stop();
}

interface Visible {
  readonly running: Supervisor;
  readonly own: OwnEnvironment;
  readonly bar: StatusBar;
  readonly requests: Requests;
  readonly feedback: Feedback;
  readonly why: FimbleApi['why'];
}

function apiOf({ running, own, bar, requests, feedback, why }: Visible): FimbleApi {
  return {
    get state() {
      return bar.state;
    },
    get serverVersion() {
      return running.serverVersion;
    },
    get ownEnvironment() {
      return own.folder;
    },
    get numRequests() {
      return requests.numUnderWay;
    },
    onDidChangeState: bar.onDidChange,
    onDidTell: feedback.onDidTell,
    why,
  };
}

interface Following {
  readonly running: Supervisor;
  readonly saver: Saver;
  readonly switches: Switches;
  readonly bar: StatusBar;
}

function followSettings({ running, saver, switches, bar }: Following): vscode.Disposable[] {
  const showChoices = (): void => {
    bar.setPause(switches.pausedUntil);
    bar.setDisabled(switches.disabled);
    bar.setSparing(saver.isOn);
  };
  showChoices();
  return [
    switches.onDidChange(showChoices),
    vscode.window.onDidChangeActiveTextEditor(showChoices),
    saver.onDidChange(() => {
      showChoices();
      void running.settingsChanged();
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void running.settingsChanged()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      showChoices();
      if (event.affectsConfiguration(`${SECTION}.server.command`) || event.affectsConfiguration(`${SECTION}.server.standalone`)) {
        void running.restart();
      } else if (event.affectsConfiguration(SECTION)) {
        void running.settingsChanged();
      }
    }),
  ];
}

/** What the server cannot know when it is asked why. */
function notes(switches: Switches): string[] {
  const said: string[] = [];
  if (switches.pausedUntil !== undefined) {
    said.push(`Suggestions are paused ${switches.pausedUntil}: only *Suggest Now* asks for one.`);
  }
  if (switches.disabled !== undefined) {
    said.push(`Suggestions are switched off ${switches.disabled} (\`fimble.completion\` in the settings).`);
  }
  if (!vscode.workspace.getConfiguration('editor').get<boolean>('inlineSuggest.enabled', true)) {
    said.push('VS Code shows no ghost text: `editor.inlineSuggest.enabled` is off.');
  }
  return said;
}

async function askWhy(running: Supervisor, uri: string): Promise<Explanation | null> {
  if (running.running === undefined) {
    throw new Error('it does not run');
  }
  return running.running.sendRequest<Explanation | null>('fimble/why', { textDocument: { uri } });
}

/** Events are worth less than the typing they follow: what cannot be sent is dropped. */
function wireOf(running: Supervisor, log: vscode.LogOutputChannel): Wire {
  const dropped = (error: unknown): void => {
    log.debug(`not told to the server: ${String(error)}`);
  };
  return {
    notify: (method, params) => {
      running.running?.sendNotification(method, params).catch(dropped);
    },
    execute: (command, args) => {
      running.running?.sendRequest('workspace/executeCommand', { command, arguments: args }).catch(dropped);
    },
  };
}
