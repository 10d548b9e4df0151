package measure

// HTTPClient is the source of the series that a driver over HTTP writes each
// second of its connections. These are their metrics. The times have the
// statistics SampleCount, Sum and Maximum, the last one where there was any.
const (
	HTTPClient        = "http-client"
	HTTPOpen          = "open-connections"
	HTTPOpened        = "opened-connections"
	HTTPClosed        = "closed-connections"
	HTTPDead          = "dead-connections"   // of the closed: the server had closed them while they were idle
	HTTPReused        = "reused-connections" // requests over a connection that had one before
	HTTPResets        = "connection-resets"  // requests that ended with one
	HTTPResumed       = "resumed-tls"        // handshakes that resumed a session
	HTTPUnreadable    = "unreadable-tokens"  // token headers that tell no count
	HTTPConnectTime   = "connect-time"       // of every connection, in seconds
	HTTPHandshakeTime = "tls-handshake-time" // of every connection with TLS, in seconds
	HTTPFirstByteTime = "time-to-first-byte" // of a sample of requests, from sending, in seconds

	// Of a server that has a name, by its addresses, which are in the label "address".
	HTTPAddressOpened = "address-connections"
	HTTPAddressFailed = "address-failures" // attempts to connect; the label "reason" has why
)
