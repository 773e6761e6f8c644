// An OpenID provider for tests: `node server.mjs SETTINGS`, a JSON file with port, audience, keys, seconds and clients.
import { readFileSync } from "node:fs";
import Provider from "oidc-provider";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const issuer = `http://127.0.0.1:${settings.port}`;

const provider = new Provider(issuer, {
  jwks: { keys: settings.keys },
  clients: settings.clients.map(({ id, secret, alg }) => ({
    client_id: id,
    client_secret: secret,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: alg,
  })),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
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
