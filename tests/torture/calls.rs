//! The system calls that a running server makes, and how each may fail.

/// A system call, whom a failure of it may cost something, and the errors it documents (what TCP/IP adds included).
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) concerns: Concerns,
    pub(crate) errors: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concerns {
    /// Who is just coming.
    Newcomers,
    /// One TCP client, whoever it is.
    Clients,
    /// One datagram.
    Datagrams,
    /// One TCP client or one datagram: both are answered by it.
    Answers,
    /// The operator or whoever reads the transcript; that descriptor may be given up for good.
    Operator,
    /// Nobody at all.
    Nobody,
}

/// Every fallible call of the loop.
pub(crate) const CALLS: [Call; 11] = [
    Call {
        name: "accept4",
        concerns: Concerns::Newcomers,
        errors: "ECONNABORTED EMFILE EAGAIN EINTR ENFILE ENOBUFS ENOMEM EPERM EPROTO EBADF EFAULT EINVAL ENOTSOCK \
                 EOPNOTSUPP ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH ENETUNREACH ENOSR ESOCKTNOSUPPORT \
                 EPROTONOSUPPORT ETIMEDOUT",
    },
    Call {
        name: "recvfrom",
        concerns: Concerns::Clients,
        errors: "ECONNRESET EAGAIN EINTR ENOMEM ETIMEDOUT ECONNREFUSED EBADF EFAULT EINVAL ENOTCONN ENOTSOCK \
                 EHOSTUNREACH ENETUNREACH",
    },
    Call {
        name: "sendto",
        concerns: Concerns::Answers,
        errors: "EPIPE EAGAIN EINTR ENOBUFS ENOMEM ECONNRESET EACCES EALREADY EBADF EDESTADDRREQ EFAULT EINVAL EISCONN \
                 EMSGSIZE ENOTCONN ENOTSOCK EOPNOTSUPP ETIMEDOUT",
    },
    // A datagram that cannot be read stays where it is.
    Call {
        name: "recvmmsg",
        concerns: Concerns::Nobody,
        errors: "ENOMEM EINTR EAGAIN ECONNREFUSED EBADF EFAULT EINVAL ENOTCONN ENOTSOCK EHOSTUNREACH ENETUNREACH",
    },
    Call {
        name: "sendmmsg",
        concerns: Concerns::Datagrams,
        errors: "ECONNREFUSED EPERM EAGAIN EINTR ENOBUFS ENOMEM EACCES EALREADY EBADF ECONNRESET EDESTADDRREQ EFAULT \
                 EINVAL EISCONN EMSGSIZE ENOTCONN ENOTSOCK EOPNOTSUPP EPIPE EHOSTUNREACH ENETUNREACH",
    },
    Call { name: "read", concerns: Concerns::Operator, errors: "EIO EINTR EAGAIN EBADF EFAULT EINVAL EISDIR" },
    Call {
        name: "write",
        concerns: Concerns::Operator,
        errors: "EPIPE EINTR EAGAIN ENOSPC EIO EBADF EDESTADDRREQ EDQUOT EFAULT EFBIG EINVAL EPERM",
    },
    Call { name: "epoll_wait", concerns: Concerns::Nobody, errors: "EINVAL EINTR EBADF EFAULT" },
    Call {
        name: "epoll_ctl",
        concerns: Concerns::Newcomers,
        errors: "ENOSPC ENOMEM EBADF EEXIST EINVAL ELOOP ENOENT EPERM",
    },
    Call { name: "shutdown", concerns: Concerns::Newcomers, errors: "ENOTCONN EBADF EINVAL ENOTSOCK ENOBUFS" },
    // Not called once the server listens; that it stays so is seen here.
    Call { name: "setsockopt", concerns: Concerns::Nobody, errors: "EINVAL EBADF EFAULT ENOPROTOOPT ENOTSOCK" },
];
