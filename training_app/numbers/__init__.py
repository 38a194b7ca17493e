"""Numbers over audits: what is asked (scope), what is read (gathering), what it comes to (report), when (keeping)."""
