package model

import (
	"strconv"

	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// The following types are the System file as it is written.
type (
	systemFile struct {
		Version     int             `yaml:"version,required"`
		Name        string          `yaml:"name,required"`
		Description string          `yaml:"description"`
		AsOf        string          `yaml:"as_of"`
		Schema      string          `yaml:"schema"`
		Limiters    []limiterFile   `yaml:"limiters"`
		Operations  []operationFile `yaml:"operations"`
		Kafka       clusterFile     `yaml:"kafka"`
	}
	limiterFile struct {
		ID          string        `yaml:"id,required"`
		Kind        Kind          `yaml:"kind,required"`
		Rate        unit.Rate     `yaml:"rate"`
		Burst       burst         `yaml:"burst"`
		Partitions  int           `yaml:"partitions"`
		Split       unit.Duration `yaml:"split"`
		Limit       int           `yaml:"limit"`
		Scaling     scaling       `yaml:"scaling"`
		Provisioned int           `yaml:"provisioned"`
		Init        unit.Duration `yaml:"init"`
		KeepAlive   unit.Duration `yaml:"keep_alive"`
		Rules       int           `yaml:"rules"`
		Requests    unit.Rate     `yaml:"requests"`
		Account     string        `yaml:"account"`
		Reserved    int           `yaml:"reserved"`
		Most        unit.Rate     `yaml:"most"`
		Nodes       int           `yaml:"nodes"`
		Servers     int           `yaml:"servers"`
		Longest     unit.Duration `yaml:"longest"`
		Largest     unit.Quantity `yaml:"largest"`
		Tasks       tasksFile     `yaml:"tasks"`
	}
	tasksFile struct {
		Least    int           `yaml:"least"`
		Most     int           `yaml:"most,required"`
		Target   unit.Rate     `yaml:"target,required"`
		Cooldown unit.Duration `yaml:"cooldown"`
		Start    unit.Duration `yaml:"start"`
		Late     unit.Duration `yaml:"late"`
	}
	scaling struct {
		Step int           `yaml:"step,required"`
		Per  unit.Duration `yaml:"per,required"`
	}
	operationFile struct {
		Name        string       `yaml:"name,required"`
		ServiceTime serviceTime  `yaml:"service_time"`
		Response    response     `yaml:"response"`
		Charges     []chargeFile `yaml:"charges"`
	}
	response struct {
		Bytes unit.Size `yaml:"bytes,required"`
	}
	chargeFile struct {
		Limiter string     `yaml:"limiter,required"`
		Amount  amount     `yaml:"amount"`
		Hold    string     `yaml:"hold"`
		Key     keys       `yaml:"key"`
		Share   unit.Share `yaml:"share"`
	}
	// burst is a quantity of a token bucket and a duration of partitions.
	burst struct {
		quantity    unit.Quantity
		duration    unit.Duration
		quantityErr error
		durationErr error
	}
	// quantity is an amount in the limiter's unit, which may be left out.
	quantity unit.Quantity
	// amount is a quantity or one of the mappings: cold, warm and after together,
	// mixture, or lognormal.
	amount struct {
		plain   *quantity
		mapping *struct {
			Cold      quantity      `yaml:"cold"`
			Warm      quantity      `yaml:"warm"`
			After     unit.Duration `yaml:"after"`
			Mixture   []partFile    `yaml:"mixture"`
			Lognormal struct {
				P50 quantity `yaml:"p50,required"`
				P99 quantity `yaml:"p99,required"`
			} `yaml:"lognormal"`
		}
	}
	partFile struct {
		Amount quantity   `yaml:"amount,required"`
		Share  unit.Share `yaml:"share,required"`
	}
	// serviceTime is a duration or one of the mappings.
	serviceTime struct {
		constant *unit.Duration
		mapping  *struct {
			Exponential *struct {
				Mean unit.Duration `yaml:"mean,required"`
			} `yaml:"exponential"`
			Lognormal *struct {
				P50 unit.Duration `yaml:"p50,required"`
				P99 unit.Duration `yaml:"p99,required"`
			} `yaml:"lognormal"`
		}
	}
	keys struct {
		Uniform int `yaml:"uniform"`
		Zipf    int `yaml:"zipf"`
	}
)

// UnmarshalText implements encoding.TextUnmarshaler. Which of the two readings
// is meant shows when the kind is known.
func (b *burst) UnmarshalText(text []byte) error {
	b.quantityErr = b.quantity.UnmarshalText(text)
	b.durationErr = b.duration.UnmarshalText(text)
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (q *quantity) UnmarshalText(text []byte) error {
	if v, err := strconv.ParseFloat(string(text), 64); err == nil {
		*q = quantity{Amount: v}
		return nil
	}
	return (*unit.Quantity)(q).UnmarshalText(text)
}

// Choose implements strict.Choice.
func (a *amount) Choose(k strict.Kind) any {
	switch k {
	case strict.Scalar:
		return &a.plain
	case strict.Mapping:
		return &a.mapping
	}
	return nil
}

// Choose implements strict.Choice.
func (t *serviceTime) Choose(k strict.Kind) any {
	switch k {
	case strict.Scalar:
		return &t.constant
	case strict.Mapping:
		return &t.mapping
	}
	return nil
}
