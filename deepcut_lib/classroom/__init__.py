"""What a teacher needs: copies of the lessons for students and teachers, and marks."""
