// Package prom hands the figures of a transport.Gate to Prometheus. It is a module
// of its own, so that only those who import it have Prometheus' libraries among
// their dependencies.
//
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(prom.NewCollector(gate))
//	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
//
// The names are those of [transport.Gate.Metrics], and each has at most one label,
// with a few fixed values. Nothing that a client chose is in any of them. Beside
// those there is
//
//	hopseal_certificate_expiry_timestamp_seconds{name, file}
//
// from [NewCertificateCollector], with the names and files of the server's own
// certificates:
//
//	registry.MustRegister(prom.NewCertificateCollector(watcher.Expiries)) // a servertls.Watcher
//
// Keep the handler on an address that only Prometheus reaches.
package prom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/servertls"
)

// NewCollector returns a prometheus.Collector of a Gate's figures. Where a process
// has several Gates, register each with labels of its own, through
// prometheus.WrapRegistererWith.
func NewCollector(gate *transport.Gate) prometheus.Collector { return collector{gate} }

type collector struct{ gate *transport.Gate }

// Describe is described at prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	described := make(map[string]bool)
	for _, m := range c.gate.Metrics() {
		if !described[m.Name] {
			described[m.Name] = true
			ch <- describe(m)
		}
	}
}

// Collect is described at prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.gate.Metrics() {
		kind, values := prometheus.GaugeValue, []string(nil)
		if m.Counter {
			kind = prometheus.CounterValue
		}
		if m.Label != "" {
			values = []string{m.Value}
		}
		ch <- prometheus.MustNewConstMetric(describe(m), kind, m.Number, values...)
	}
}

func describe(m transport.Metric) *prometheus.Desc {
	var labels []string
	if m.Label != "" {
		labels = []string{m.Label}
	}
	return prometheus.NewDesc(m.Name, m.Help, labels, nil)
}

// NewCertificateCollector returns a prometheus.Collector that tells when certificates
// expire, in seconds since 1970: an alert is due where that less time() falls below
// some weeks. expiries is the method Expiries of a servertls.Watcher, or something
// like it.
func NewCertificateCollector(expiries func() []servertls.Expiry) prometheus.Collector {
	return certificates{expiries}
}

type certificates struct{ expiries func() []servertls.Expiry }

var expiryDesc = prometheus.NewDesc("hopseal_certificate_expiry_timestamp_seconds",
	"When a certificate of this server expires.", []string{"name", "key_type", "file"}, nil)

// Describe is described at prometheus.Collector.
func (c certificates) Describe(ch chan<- *prometheus.Desc) { ch <- expiryDesc }

// Collect is described at prometheus.Collector.
func (c certificates) Collect(ch chan<- prometheus.Metric) {
	type key struct{ name, keyType, file string }
	first := make(map[key]time.Time) // Prometheus takes one figure for each set of labels
	for _, e := range c.expiries() {
		if at, known := first[key{e.Name, e.KeyType, e.File}]; !known || e.NotAfter.Before(at) {
			first[key{e.Name, e.KeyType, e.File}] = e.NotAfter
		}
	}
	for k, at := range first {
		ch <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(at.Unix()), k.name, k.keyType, k.file)
	}
}
