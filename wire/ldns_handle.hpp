#pragma once

#include "base/handle.hpp"

#include <ldns/ldns.h>

/// Owners for what ldns hands out.
namespace sallyport::wire {

using LdnsRecord = base::Handle<ldns_rr, ldns_rr_free>;
using LdnsRdf = base::Handle<ldns_rdf, ldns_rdf_deep_free>;
using LdnsBuffer = base::Handle<ldns_buffer, ldns_buffer_free>;

} // namespace sallyport::wire
