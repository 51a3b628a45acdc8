// Package prom exports the figures of a transport.Gate, and when the server's certificates
// expire, to Prometheus:
//
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(prom.NewCollector(gate))
//	registry.MustRegister(prom.NewCertificateCollector(watcher.Expiries)) // a servertls.Watcher
//	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
//
// [NewCollector] uses the names of [transport.Gate.Metrics]. Each metric has at most one
// label, with a few fixed values. None holds anything that a client chose.
// [NewCertificateCollector] adds one metric, with the names, kinds of key and files of the
// server's own certificates:
//
//	hopseal_certificate_expiry_timestamp_seconds{name, key_type, file}
//
// Serve the handler on an address that only Prometheus reaches.
//
// Package prom is a module of its own, so that only programs that import it depend on
// Prometheus' libraries.
package prom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/servertls"
)

// NewCollector returns a prometheus.Collector of a Gate's figures. If a process has several
// Gates, register each with labels of its own, with prometheus.WrapRegistererWith.
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

// NewCertificateCollector returns a prometheus.Collector that says when certificates
// expire, in seconds since 1970. Alert when this figure minus time() falls below some
// weeks. expiries is the method Expiries of a servertls.Watcher, or a similar function.
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
	first := make(map[key]time.Time) // the earliest: Prometheus accepts one figure for each set of labels
	for _, e := range c.expiries() {
		if at, known := first[key{e.Name, e.KeyType, e.File}]; !known || e.NotAfter.Before(at) {
			first[key{e.Name, e.KeyType, e.File}] = e.NotAfter
		}
	}
	for k, at := range first {
		ch <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(at.Unix()), k.name, k.keyType, k.file)
	}
}
