#include "apps/version.hpp"

#include <boost/version.hpp>
#include <ldns/ldns.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#ifdef SALLYPORT_HAS_QUIC
#include <gnutls/gnutls.h>
#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>
#endif

#include <ostream>

namespace sallyport::apps {

std::string version_line() { return std::string("sallyport ") + SALLYPORT_VERSION; }

void print_version(std::ostream& out)
{
    out << version_line() << "\n  doors    Do53, DoT, DoH (HTTP/1.1, HTTP/2)";
#ifdef SALLYPORT_HAS_QUIC
    out << ", DoH/3, DoQ";
#else
    out << " (built without QUIC)";
#endif
    out << "\n  TLS      " << OpenSSL_version(OPENSSL_VERSION) << "\n  HTTP/2   nghttp2 "
        << nghttp2_version(0)->version_str;
#ifdef SALLYPORT_HAS_QUIC
    out << "\n  QUIC     ngtcp2 " << ngtcp2_version(0)->version_str << ", nghttp3 " << nghttp3_version(0)->version_str
        << ", GnuTLS " << gnutls_check_version(nullptr);
#endif
    out << "\n  DNS text ldns " << ldns_version() << "\n  Boost    " << BOOST_LIB_VERSION << '\n';
}

} // namespace sallyport::apps
