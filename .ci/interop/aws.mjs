// Reads the sandbox's metrics and quotas with the AWS SDK for JavaScript, which
// speaks AWS JSON to CloudWatch where the Go SDK speaks CBOR. The endpoint and
// the credentials come from the environment, as for AWS itself. Prints what it
// read as JSON.
import { CloudWatchClient, GetMetricDataCommand, ListMetricsCommand } from '@aws-sdk/client-cloudwatch';
import { GetServiceQuotaCommand, ListServiceQuotasCommand, ServiceQuotasClient } from '@aws-sdk/client-service-quotas';

const cloudwatch = new CloudWatchClient({});
const quotas = new ServiceQuotasClient({});

const now = Date.now();
const { Metrics } = await cloudwatch.send(new ListMetricsCommand({ Namespace: 'AWS/AppSync' }));
const metric = Metrics.find((m) => m.MetricName === 'TokensConsumed');
const data = await cloudwatch.send(new GetMetricDataCommand({
  StartTime: new Date(now - 10 * 60_000),
  EndTime: new Date(now + 60_000),
  MetricDataQueries: [{ Id: 'tokens', MetricStat: { Metric: metric, Period: 60, Stat: 'Sum' } }],
}));
const listed = await quotas.send(new ListServiceQuotasCommand({ ServiceCode: 'appsync' }));
const one = await quotas.send(new GetServiceQuotaCommand({ ServiceCode: 'lambda', QuotaCode: 'L-B99A9384' }));
console.log(JSON.stringify({
  metrics: Metrics.map((m) => m.MetricName).sort(),
  tokens: data.MetricDataResults[0].Values.reduce((a, b) => a + b, 0),
  status: data.MetricDataResults[0].StatusCode,
  appsync: listed.Quotas.map((q) => [q.QuotaCode, q.Value]),
  lambda: one.Quota.Value,
}));
