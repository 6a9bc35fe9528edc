// The proxy that VS Code was told of, for programs that know it from their environment.

export interface Network {
  readonly proxy: string;
  readonly noProxy: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the variables to add. What the user's own environment says about proxies stays as it is. */
export function proxyVariables(network: Network, environment: Environment): Record<string, string> {
  const proxy = network.proxy.trim();
  if (proxy === '') {
    return {};
  }
  const added: Record<string, string> = {};
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY']) {
    if (isUnset(environment, name)) {
      added[name] = proxy;
    }
  }
  if (network.noProxy.length > 0 && isUnset(environment, 'NO_PROXY')) {
    added['NO_PROXY'] = network.noProxy.join(',');
  }
  return added;
}

function isUnset(environment: Environment, name: string): boolean {
  return !environment[name] && !environment[name.toLowerCase()];
}
