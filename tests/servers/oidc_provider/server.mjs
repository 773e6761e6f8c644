// An OpenID provider for tests: `node server.mjs SETTINGS`, a JSON file with port, audience, keys, seconds and clients.
import { readFileSync } from "node:fs";
import Provider, { interactionPolicy } from "oidc-provider";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const issuer = `http://127.0.0.1:${settings.port}`;

// The page is served without TLS here, which only native clients may be, and those are asked for consent every time.
const policy = interactionPolicy.base();
policy.get("consent").checks.remove("native_client_prompt");

const provider = new Provider(issuer, {
  interactions: { policy },
  jwks: { keys: settings.keys },
  clients: settings.clients.map(({ id, secret, alg, redirect_uri, device }) => ({
    client_id: id,
    id_token_signed_response_alg: alg,
    ...(redirect_uri
      ? {
          // A page: it has no secret, and people sign in for it.
          application_type: "native",
          token_endpoint_auth_method: "none",
          grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"].slice(0, device ? 3 : 2),
          response_types: ["code"],
          redirect_uris: [redirect_uri],
        }
      : { client_secret: secret, grant_types: ["client_credentials"], redirect_uris: [], response_types: [] }),
  })),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    deviceFlow: { enabled: settings.clients.some(({ device }) => device) },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => settings.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, _indicator, client) => ({
        scope: "datasets:read analyses:read",
        audience: settings.audience,
        accessTokenTTL: settings.seconds,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: client.idTokenSignedResponseAlg } },
      }),
    },
  },
  extraTokenClaims: (_context, token) => settings.clients.find(({ id }) => id === token.clientId).claims,
});

provider.listen(settings.port, "127.0.0.1", () => console.log("ready"));
