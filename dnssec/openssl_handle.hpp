#pragma once

#include "base/handle.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

/// Owners for what OpenSSL hands out.
namespace sallyport::dnssec {

using PkeyHandle = base::Handle<EVP_PKEY, EVP_PKEY_free>;
using PkeyContext = base::Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContext = base::Handle<EVP_MD_CTX, EVP_MD_CTX_free>;
using BignumHandle = base::Handle<BIGNUM, BN_free>;
using ParamBuilder = base::Handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using ParamList = base::Handle<OSSL_PARAM, OSSL_PARAM_free>;
using EcdsaSignature = base::Handle<ECDSA_SIG, ECDSA_SIG_free>;

} // namespace sallyport::dnssec
