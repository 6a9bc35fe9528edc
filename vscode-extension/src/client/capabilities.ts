// What we say of ourselves, and what we keep the library from doing with what the server says.
import type { ClientCapabilities, FeatureState, ServerCapabilities, StaticFeature } from 'vscode-languageclient/node';

export class FimbleCapabilities implements StaticFeature {
  fillClientCapabilities(capabilities: ClientCapabilities): void {
    const experimental = (capabilities.experimental ?? {}) as Record<string, unknown>;
    capabilities.experimental = { ...experimental, fimble: { status: true } };
    // Our status bar item says it; a second one beside it would be noise.
    if (capabilities.window !== undefined) {
      capabilities.window.workDoneProgress = false;
    }
  }

  preInitialize(capabilities: ServerCapabilities): void {
    // The library would register each as a command of VS Code; ours have the same names, and a
    // restart would register them twice.
    delete capabilities.executeCommandProvider;
  }

  initialize(): void {
    // Nothing of this feature lives.
  }

  getState(): FeatureState {
    return { kind: 'static' };
  }

  clear(): void {
    // Nothing of this feature lives.
  }
}
