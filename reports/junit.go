package reports

import (
	"encoding/xml"
	"fmt"
	"io"

	"github.com/headroom-load/headroom/capacity"
)

type junitSuite struct {
	XMLName   xml.Name    `xml:"testsuite"`
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitMessage `xml:"failure"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
}

// JUnit writes the run as one test suite with a case for each threshold and
// each check.
func JUnit(w io.Writer, run *capacity.Run, a capacity.Assessment) error {
	a = withhold(run, a)
	m := run.Manifest
	s := junitSuite{
		Name:      m.Scenario.Name,
		Time:      fmt.Sprintf("%.3f", run.Length()),
		Timestamp: m.Start.UTC().Format("2006-01-02T15:04:05"),
	}
	for _, t := range a.Thresholds {
		c := junitCase{Name: t.Expression, Class: m.Scenario.Name + ".thresholds"}
		if !t.Passed {
			c.Failure = &junitMessage{fmt.Sprintf("observed %s, wanted %s", thresholdValue(run, t), t.Expression)}
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	for _, k := range a.Verdict.Checks {
		c := junitCase{Name: k.Name, Class: m.Scenario.Name + ".checks"}
		switch k.Status {
		case capacity.CheckFailed:
			c.Failure = &junitMessage{sentence(fmt.Sprintf("observed %s, bound %s", k.Value, k.Bound)) + " " + k.Hint}
			s.Failures++
		case capacity.NotApplicable:
			c.Skipped = &junitMessage{"not applicable: " + k.Value}
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	s.Tests = len(s.Cases)
	b, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write junit.xml: %w", err)
	}
	_, err = io.WriteString(w, xml.Header+printable(string(b))+"\n")
	return err
}
