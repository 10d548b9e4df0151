// An Apollo Server on loopback that fails 3 of every 100 requests with a
// GraphQL error in a 200 answer: the first and second of them with an
// errorType, the third without one. It prints its URL, and on the end of its
// input how many requests it answered and how many of them it failed.
import { ApolloServer, HeaderMap } from '@apollo/server';
import { GraphQLError } from 'graphql';
import { createServer } from 'node:http';

let answered = 0;
let failed = 0;

const server = new ApolloServer({
  typeDefs: `
    type Query { listPrograms(first: Int!): [Program] }
    type Program { id: ID!, title: String! }
  `,
  resolvers: {
    Query: {
      listPrograms(_, { first }) {
        const n = answered++ % 100;
        if (n < 3) {
          failed++;
          throw new GraphQLError('injected', n < 2 ? { extensions: { errorType: 'Injected' } } : {});
        }
        return Array.from({ length: first }, (_, i) => ({ id: i, title: `programme ${i}` }));
      },
    },
  },
  formatError: (formatted) =>
    formatted.extensions?.errorType ? { ...formatted, errorType: formatted.extensions.errorType } : formatted,
});
await server.start();

const http = createServer(async (req, res) => {
  const parts = [];
  for await (const part of req) parts.push(part);
  const answer = await server.executeHTTPGraphQLRequest({
    context: async () => ({}),
    httpGraphQLRequest: {
      method: req.method,
      headers: new HeaderMap(Object.entries(req.headers)),
      search: '',
      body: JSON.parse(Buffer.concat(parts).toString()),
    },
  });
  res.writeHead(answer.status ?? 200, Object.fromEntries(answer.headers));
  res.end(answer.body.string);
});
http.keepAliveTimeout = 60_000;
http.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${http.address().port}/`));

process.stdin.resume();
process.stdin.on('end', () => {
  console.log(JSON.stringify({ answered, failed }));
  process.exit(0);
});
