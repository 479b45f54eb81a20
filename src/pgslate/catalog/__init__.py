"""A catalog: a folder of versioned migrations, divided into statements with their places."""
