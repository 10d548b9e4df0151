// Package servicequotas is the door to the limits that an AWS account has now:
// the applied values of Service Quotas, AWS's defaults where no value was
// applied, and Lambda's own account settings where Service Quotas says nothing
// of its concurrency.
package servicequotas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas/types"
	"github.com/aws/smithy-go"

	"github.com/headroom-load/headroom/capacity/quotas"
)

const (
	pageSize = 100
	// maxPages bounds the pages of one answer, against a token that never ends.
	maxPages = 100
)

// concurrency is the limit that Lambda answers too.
var concurrency = quotas.Code{Service: "lambda", Quota: "L-B99A9384"}

// Source asks an account for its limits. It implements quotas.Applied.
type Source struct {
	quotas *servicequotas.Client
	lambda *lambda.Client
}

var _ quotas.Applied = (*Source)(nil)

// New returns a source for the account and Region of cfg. An endpoint other
// than AWS's own comes as cfg.BaseEndpoint.
func New(cfg aws.Config) *Source {
	return &Source{servicequotas.NewFromConfig(cfg), lambda.NewFromConfig(cfg)}
}

// Limits implements quotas.Applied. Each service is asked once, in pages; an
// error wraps one error for each call that failed.
func (s *Source) Limits(ctx context.Context, codes []quotas.Code) (map[quotas.Code]quotas.Limit, error) {
	limits := make(map[quotas.Code]quotas.Limit)
	var faults []error
	var services []string
	for _, c := range codes {
		if !slices.Contains(services, c.Service) {
			services = append(services, c.Service)
		}
	}
	for _, service := range services {
		open, err := s.applied(ctx, service, codes, limits)
		if err != nil {
			faults = append(faults, err)
		}
		for _, c := range open {
			l, found, err := s.standard(ctx, c)
			if err != nil {
				faults = append(faults, err)
			} else if found {
				limits[c] = l
			}
		}
	}
	if _, ok := limits[concurrency]; !ok && slices.Contains(codes, concurrency) {
		out, err := s.lambda.GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
		switch {
		case err != nil:
			faults = append(faults, describe("Lambda GetAccountSettings", "lambda:GetAccountSettings", err))
		case out.AccountLimit != nil && out.AccountLimit.ConcurrentExecutions > 0:
			limits[concurrency] = quotas.Limit{
				Amount: float64(out.AccountLimit.ConcurrentExecutions), Adjustable: true, Source: "Lambda GetAccountSettings",
			}
		}
	}
	return limits, errors.Join(faults...)
}

// Raise asks for another value of a quota and returns the request's id and
// status (PENDING, CASE_OPENED, APPROVED ...). AWS refuses a value that isn't
// above the present one, and a second request while one is open.
func (s *Source) Raise(ctx context.Context, c quotas.Code, value float64) (id, status string, err error) {
	out, err := s.quotas.RequestServiceQuotaIncrease(ctx, &servicequotas.RequestServiceQuotaIncreaseInput{ServiceCode: &c.Service, QuotaCode: &c.Quota, DesiredValue: &value})
	if err != nil {
		return "", "", describe("Service Quotas RequestServiceQuotaIncrease of "+c.Service+" "+c.Quota, "servicequotas:RequestServiceQuotaIncrease", err)
	}
	if out.RequestedQuota == nil {
		return "", "", errors.New("the answer to RequestServiceQuotaIncrease holds no request")
	}
	return aws.ToString(out.RequestedQuota.Id), string(out.RequestedQuota.Status), nil
}

// applied adds the service's applied values of those in codes to limits, and
// returns the codes that have none. After a refused call it returns none.
func (s *Source) applied(ctx context.Context, service string, codes []quotas.Code, limits map[quotas.Code]quotas.Limit) ([]quotas.Code, error) {
	open := slices.DeleteFunc(slices.Clone(codes), func(c quotas.Code) bool { return c.Service != service })
	in := &servicequotas.ListServiceQuotasInput{ServiceCode: &service, MaxResults: aws.Int32(pageSize)}
	var faults []error
	for range maxPages {
		out, err := s.quotas.ListServiceQuotas(ctx, in)
		if missing(err) {
			return open, nil
		}
		if err != nil {
			return nil, describe("Service Quotas ListServiceQuotas of "+service, "servicequotas:ListServiceQuotas", err)
		}
		for _, q := range out.Quotas {
			c := quotas.Code{Service: service, Quota: aws.ToString(q.QuotaCode)}
			i := slices.Index(open, c)
			if i < 0 {
				continue
			}
			// Neither an applied value nor a default stands for one that exists
			// but could not be read.
			open = slices.Delete(open, i, i+1)
			l, err := limit(q, "Service Quotas, applied value")
			if err != nil {
				faults = append(faults, err)
				continue
			}
			limits[c] = l
		}
		if len(open) == 0 || aws.ToString(out.NextToken) == "" {
			return open, errors.Join(faults...)
		}
		in.NextToken = out.NextToken
	}
	return nil, fmt.Errorf("answers to ListServiceQuotas of %s have pages without end", service)
}

// standard returns AWS's default of a quota.
func (s *Source) standard(ctx context.Context, c quotas.Code) (quotas.Limit, bool, error) {
	out, err := s.quotas.GetAWSDefaultServiceQuota(ctx, &servicequotas.GetAWSDefaultServiceQuotaInput{ServiceCode: &c.Service, QuotaCode: &c.Quota})
	if missing(err) || err == nil && out.Quota == nil {
		return quotas.Limit{}, false, nil
	}
	if err != nil {
		return quotas.Limit{}, false, describe("Service Quotas GetAWSDefaultServiceQuota of "+c.Service+" "+c.Quota, "servicequotas:GetAWSDefaultServiceQuota", err)
	}
	l, err := limit(*out.Quota, "Service Quotas, AWS default (no value was applied)")
	return l, err == nil, err
}

func limit(q types.ServiceQuota, source string) (quotas.Limit, error) {
	name := aws.ToString(q.ServiceCode) + " " + aws.ToString(q.QuotaCode)
	if q.ErrorReason != nil {
		return quotas.Limit{}, fmt.Errorf("no value of %s from Service Quotas: %s %s", name, q.ErrorReason.ErrorCode, aws.ToString(q.ErrorReason.ErrorMessage))
	}
	if q.Value == nil {
		return quotas.Limit{}, fmt.Errorf("quota %s came from Service Quotas without a value", name)
	}
	l := quotas.Limit{Amount: *q.Value, Adjustable: q.Adjustable, Source: source}
	if p := q.Period; p != nil {
		unit, ok := periods[p.PeriodUnit]
		if !ok || aws.ToInt32(p.PeriodValue) <= 0 {
			return quotas.Limit{}, fmt.Errorf("quota %s came from Service Quotas with the unknown period %d %s", name, aws.ToInt32(p.PeriodValue), p.PeriodUnit)
		}
		l.Per = time.Duration(*p.PeriodValue) * unit
	}
	return l, nil
}

var periods = map[types.PeriodUnit]time.Duration{
	types.PeriodUnitMicrosecond: time.Microsecond,
	types.PeriodUnitMillisecond: time.Millisecond,
	types.PeriodUnitSecond:      time.Second,
	types.PeriodUnitMinute:      time.Minute,
	types.PeriodUnitHour:        time.Hour,
	types.PeriodUnitDay:         24 * time.Hour,
	types.PeriodUnitWeek:        7 * 24 * time.Hour,
}

// missing reports whether the service does not know what it was asked for.
func missing(err error) bool {
	var none *types.NoSuchResourceException
	return errors.As(err, &none)
}

// describe says which call failed, and what to do where that is known.
func describe(call, action string, err error) error {
	var api smithy.APIError
	if errors.As(err, &api) && strings.Contains(api.ErrorCode(), "AccessDenied") {
		return fmt.Errorf("%s is not allowed: give the credentials %s: %w", call, action, err)
	}
	return fmt.Errorf("%s: %w", call, err)
}
