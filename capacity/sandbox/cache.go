package sandbox

import (
	"container/list"
	"sync"
)

// cache keeps the most recently used values up to a number of bytes.
type cache[V any] struct {
	limit int // bytes

	mu      sync.Mutex
	bytes   int
	entries map[string]*list.Element
	recent  list.List // of *entry[V], the latest first
}

type entry[V any] struct {
	key   string
	value V
	bytes int
}

func newCache[V any](limit int) *cache[V] {
	return &cache[V]{limit: limit, entries: map[string]*list.Element{}}
}

func (c *cache[V]) get(key []byte) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[string(key)]
	if !ok {
		return v, false
	}
	c.recent.MoveToFront(e)
	return e.Value.(*entry[V]).value, true
}

// put keeps a value that takes so many bytes beside its key. One that would
// take more than a quarter of the cache is not kept.
func (c *cache[V]) put(key string, v V, bytes int) {
	bytes += len(key)
	if bytes > c.limit/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[key]; ok {
		return
	}
	c.entries[key] = c.recent.PushFront(&entry[V]{key, v, bytes})
	for c.bytes += bytes; c.bytes > c.limit; {
		e := c.recent.Remove(c.recent.Back()).(*entry[V])
		delete(c.entries, e.key)
		c.bytes -= e.bytes
	}
}
