#pragma once

#include "base/bytes.hpp"
#include "base/handle.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <string>

/// Owners for OpenSSL's objects. Included by `.cpp` files of this module and its tests only.
namespace sallyport::certs {

using X509Handle = base::Handle<X509, X509_free>;
using KeyHandle = base::Handle<EVP_PKEY, EVP_PKEY_free>;
using BioHandle = base::Handle<BIO, BIO_free_all>;
using SslContextHandle = base::Handle<SSL_CTX, SSL_CTX_free>;
using SslHandle = base::Handle<SSL, SSL_free>;

inline void free_chain(STACK_OF(X509) * chain) noexcept { sk_X509_pop_free(chain, X509_free); }
using ChainHandle = base::Handle<STACK_OF(X509), free_chain>;

/// A read-only BIO over `bytes`, which must outlive it.
[[nodiscard]] inline BioHandle borrow_bio(base::Bytes bytes)
{
    return BioHandle{BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))};
}

/// The newest reason in OpenSSL's error queue of this thread, in its own words; empties the queue.
[[nodiscard]] std::string take_openssl_reason();

} // namespace sallyport::certs
