#pragma once

namespace sallyport::apps {

struct Loaded;

/// Tells the pipeline which encrypted doors there are (RFC 9461, RFC 9462), and the HTTP doors where HTTP/3 is.
void fill_designations(Loaded& loaded);

} // namespace sallyport::apps
